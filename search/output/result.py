"""The outcome of a run: result.json, and the table in the terminal."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agents.findings.bill import LaneId
from agents.findings.round_proposal import entropy_bits, family_shares
from agents.findings.usage import Usage
from search.config.schema import RunConfig
from search.engine.confirmation import Confirmation, Confirmed, Finalist
from search.ledger.events import RunStarted
from search.ledger.record import Record, TrialRecord
from search.scoring.grader import BaselineScores
from search.scoring.pgr import SIGNIFICANT_P, Estimate
from trainers.files import replace_file

SCHEMA = 1


def result(record: Record, confirmation: Confirmation, baselines: BaselineScores) -> dict[str, Any]:
    """The content of result.json. All accuracies, PGRs and errors except `search_pgr` are of the test split.

    If the test split has no gap, every PGR on it is null with its error and interval, and `beats_naive_p` is
    that of the accuracies.
    `data` counts what became of the rows of the data, and what the models' lengths leave of them.
    `best` is the finalist that ranked first on the search split, whether or not it then beats naive.
    `over_naive` is a finalist's PGR minus the naive baseline's, paired by seed and example, and
    `beats_naive_p` the one-sided p value of the hypothesis that this difference is not above zero. `train_s`
    counts baselines, search and confirmation.
    """
    assert record.started is not None
    assert record.baselines is not None
    finalists = [_finalist(finalist, confirmed) for finalist, confirmed in confirmation.finalists]
    usage = asked_usage(record)
    return {
        "schema": SCHEMA,
        "run": record.started.run,
        "config_sha256": record.started.config_sha256,
        "commit": record.started.commit,
        "code": record.codes,
        "sources": _sources(record.started),
        "baselines": {
            "weak_acc": baselines.weak.value,
            "weak_se": baselines.weak.se,
            "ceiling_acc": baselines.ceiling.value,
            "ceiling_se": baselines.ceiling.se,
            "gap": baselines.gap,
            "gap_se": baselines.gap_se,
            "seeds": record.baselines.seeds,
        },
        "data": record.baselines.data.model_dump() if record.baselines.data else None,
        "naive": _confirmed(confirmation.naive),
        "best": finalists[0],
        "finalists": finalists,
        "rounds": record.rounds,
        "branches": len(record.branches),
        "trials": {state: record.ended(state) for state in ("completed", "pruned", "failed")},
        "cost": {
            "wall_s": record.active_s,
            "train_s": trained_s(record),
            "saved_by_pruning_s": saved_by_pruning_s(record),
            "usd": usage.usd,
            "unanswered_usd": record.bill.unanswered_usd,
            "input_tokens": usage.all_input_tokens,
            "output_tokens": usage.output_tokens,
        },
        "agent": _agent(record),
        "grader_queries": {split: record.grader_queries[split] for split in ("search", "test")},
        "test_openings": record.test_openings,
        "test_split": _test_split(record),
    }


def _sources(started: RunStarted) -> dict[str, Any] | None:
    """Digests and commits without the salt, so that nobody can guess labels from this file."""
    return None if started.sources is None else started.sources.model_dump(exclude={"salt"})


def _test_split(record: Record) -> dict[str, Any] | None:
    """How often the examples of the test split have been opened by any run, and by which.

    by: every opening, oldest first. shared: how many of the examples it had in common with this test split.
    """
    opened = record.test_opened
    if opened is None or record.started is None:
        return None
    by = [opening.model_dump() for opening in opened.earlier]
    return {
        "digest": opened.digest,
        "opened": len(by) + 1,
        "by": [*by, {"run": record.started.run, "at": opened.at, "shared": opened.examples}],
    }


def openings_text(outcome: Mapping[str, Any]) -> str:
    """Who has opened the test split, in words; empty for a result of an earlier version."""
    split = outcome.get("test_split")
    if not split:
        return ""
    counts = Counter(opening["run"] for opening in split["by"])
    names = ", ".join(name if count == 1 else f"{name} ({count} times)" for name, count in counts.items())
    times = "once" if split["opened"] == 1 else f"{split['opened']} times"
    return f"the test split has been opened {times}, by {names}"


def _agent(record: Record) -> dict[str, Any]:
    """The proposers' part of result.json.

    families: each family's share of all branches; entropy_bits: the entropy of these shares. budget_spent:
    whether the budget ran out, so that the playbook proposed instead.
    """
    shares = family_shares([found.branch for found in record.branches.values()])
    return {
        "lanes": lane_rows(record),
        "families": shares,
        "entropy_bits": entropy_bits(list(shares.values())),
        "budget_spent": any(lane.budget_spent for lane in record.lanes.values()),
    }


def lane_rows(record: Record) -> list[dict[str, Any]]:
    """A row for each lane of each round that left a report: its branches, tokens and dollars."""
    used = _usage_by_lane(record)
    return [
        {
            "round": number,
            "lane": lane.lane,
            "source": lane.source,
            "branches": len(lane.branches),
            "refused": len(lane.refused),
            "why": lane.why,
            "usd": used[number, name].usd,
            "input_tokens": used[number, name].all_input_tokens,
            "cache_read_tokens": used[number, name].cache_read_tokens,
            "cache_write_tokens": used[number, name].cache_write_tokens,
            "output_tokens": used[number, name].output_tokens,
        }
        for (number, name), lane in record.lanes.items()
    ]


def _confirmed(confirmed: Confirmed) -> dict[str, Any]:
    return {
        "method": confirmed.method.model_dump(),
        "accuracy": confirmed.accuracy.value,
        "accuracy_se": confirmed.accuracy.se,
        **_pgr(confirmed.pgr),
        "seeds": confirmed.seeds,
        "split": "test",
    }


def _finalist(finalist: Finalist, confirmed: Confirmed) -> dict[str, Any]:
    return {
        **_confirmed(confirmed),
        "branch": finalist.trial.branch,
        "search_pgr": finalist.search_pgr,
        "over_naive": {
            "accuracy": confirmed.accuracy_gain.value,
            "accuracy_se": confirmed.accuracy_gain.se,
            **_pgr(confirmed.gain),
        },
        "beats_naive_p": confirmed.beats_naive_p,
    }


def _pgr(estimate: Estimate | None) -> dict[str, Any]:
    if estimate is None:
        return {"pgr": None, "se": None, "ci95": None}
    return {"pgr": estimate.value, "se": estimate.se, "ci95": list(estimate.ci95)}


def asked_usage(record: Record) -> Usage:
    """Tokens and dollars of all rounds and lanes so far, requests in flight included."""
    return sum(_usage_by_lane(record).values(), Usage())


def _usage_by_lane(record: Record) -> dict[LaneId, Usage]:
    """From the bill; from lanes' reports where a ledger of an earlier version has no bill."""
    return {key: lane.usage for key, lane in record.lanes.items()} | record.bill.by_lane()


def trained_s(record: Record) -> float:
    """Seconds of training and evaluation so far: baselines, search and confirmation."""
    baselines = record.baselines.train_s if record.baselines else 0.0
    return baselines + sum(trial.train_s for trial in record.trials.values())


def saved_by_pruning_s(record: Record) -> float:
    """Seconds that stopping search trials early has saved so far."""
    return sum(_saved_s(trial) for trial in record.of_purpose("search"))


def _saved_s(trial: TrialRecord) -> float:
    """The seconds that the rest of a pruned trial would have taken at its pace so far."""
    if trial.state != "pruned" or trial.last is None:
        return 0.0
    return trial.train_s * (1 / trial.last.share - 1)


def write_result(path: Path, outcome: dict[str, Any]) -> None:
    """Write result.json whole or not at all."""
    replace_file(path, json.dumps(outcome, indent=2) + "\n")


def outcome_table(outcome: dict[str, Any]) -> RenderableType:
    """The outcome as a table for the terminal: PGR on the test split, finalists against naive."""
    table = _pgr_table(outcome) if has_gap(outcome) else _accuracy_table(outcome)
    floor, cost, trials = outcome["baselines"], outcome["cost"], outcome["trials"]
    summary = (
        f"weak floor {floor['weak_acc']:.4f} ± {floor['weak_se']:.4f}, "
        f"ceiling {floor['ceiling_acc']:.4f} ± {floor['ceiling_se']:.4f}\n"
        f"{sum(trials.values())} trials ({trials['completed']} completed, {trials['pruned']} pruned, "
        f"{trials['failed']} failed) of {outcome['branches']} branches in {outcome['rounds']} rounds; "
        f"{cost['wall_s']:.0f} s, {cost['train_s']:.0f} s of training, "
        f"{cost['saved_by_pruning_s']:.0f} s saved by pruning"
    ) + _asked(outcome)
    if openings := openings_text(outcome):
        summary += f"\n{openings}"
    verdict = ("" if has_gap(outcome) else NO_GAP) + _verdict(outcome["best"]["beats_naive_p"])
    return Group(table, Text(verdict), Text(summary))


def has_gap(outcome: Mapping[str, Any]) -> bool:
    """Whether the test split has a gap, so that there is a PGR on it."""
    return outcome["naive"]["pgr"] is not None


NO_GAP = "there is no gap to recover on the test split, so no PGR: accuracies are compared\n"


def _pgr_table(outcome: dict[str, Any]) -> Table:
    columns = ("method", "PGR", "± SE", "95% interval", "over naive", "p", "search PGR", "seeds")
    table = _table("Performance gap recovered on the test split", columns)
    naive = outcome["naive"]
    table.add_row("naive", *_cells(naive), "", "", "", str(naive["seeds"]))
    for row in outcome["finalists"]:
        table.add_row(
            Text(row["branch"]), *_cells(row), f"{row['over_naive']['pgr']:+.3f}", *_other_cells(row)
        )
    return table


def _accuracy_table(outcome: dict[str, Any]) -> Table:
    columns = ("method", "accuracy", "± SE", "over naive", "p", "search PGR", "seeds")
    table = _table("Accuracy on the test split", columns)
    naive = outcome["naive"]
    table.add_row("naive", *_accuracy_cells(naive), "", "", "", str(naive["seeds"]))
    for row in outcome["finalists"]:
        over = f"{row['over_naive']['accuracy']:+.4f}"
        table.add_row(Text(row["branch"]), *_accuracy_cells(row), over, *_other_cells(row))
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if column == "method" else "right")
    return table


def _verdict(p: float) -> str:
    """Whether the best finalist, which is never naive itself, beats the naive baseline."""
    if p < SIGNIFICANT_P:
        return f"the best beats the naive baseline (p = {p:.2g})"
    return f"the best is not shown to beat the naive baseline (p = {p:.2g}): keep to naive, or search on"


def _asked(outcome: dict[str, Any]) -> str:
    """A line about the agent's cost and the playbook's part; empty if no agent was asked."""
    cost, agent = outcome["cost"], outcome["agent"]
    if not agent["lanes"]:
        return ""
    stood_in = sum(row["lane"] == "playbook" for row in agent["lanes"])
    playbook = f"; the playbook stood in for {stood_in} rounds" if stood_in else ""
    spent = " (the budget was spent)" if agent["budget_spent"] else ""
    lost = cost["unanswered_usd"]
    unanswered = f" ({lost:.4f} of them reserved for answers that never came)" if lost else ""
    return (
        f"\nagent: {cost['usd']:.4f} dollars{unanswered}, {cost['input_tokens']} tokens in, "
        f"{cost['output_tokens']} out; "
        f"families' entropy {agent['entropy_bits']:.2f} bits{playbook}{spent}"
    )


def _other_cells(row: dict[str, Any]) -> tuple[str, str, str]:
    return f"{row['beats_naive_p']:.2g}", f"{row['search_pgr']:.3f}", str(row["seeds"])


def _accuracy_cells(row: dict[str, Any]) -> tuple[str, str]:
    return f"{row['accuracy']:.4f}", f"{row['accuracy_se']:.4f}"


def _cells(row: dict[str, Any]) -> tuple[str, str, str]:
    low, high = row["ci95"]
    return f"{row['pgr']:.3f}", f"{row['se']:.3f}", f"{low:.3f} to {high:.3f}"


def baseline_table(config: RunConfig, scores: BaselineScores) -> Table:
    """Weak floor and ceiling as a table for the terminal."""
    table = Table(title=f"Search split, {config.baselines.seeds} seeds", title_justify="left")
    for column in ("baseline", "accuracy", "± SE"):
        table.add_column(column, justify="left" if column == "baseline" else "right")
    for name, score in (("weak floor", scores.weak), ("ceiling", scores.ceiling)):
        table.add_row(name, f"{score.value:.4f}", f"{score.se:.4f}")
    table.add_row("gap", f"{scores.gap:.4f}", f"{scores.gap_se:.4f}")
    return table
