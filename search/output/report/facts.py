"""The report's texts and rows, computed from a config, a record and the content of result.json."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, get_args

from agents.findings.differences import differences
from agents.language.proposal import Branch
from cluster.commit import other_code
from search.config.schema import RunConfig
from search.ledger.events import EndState
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from search.output.agent.proposers import agent_row, asked_usage, not_the_agents
from search.output.hidden_table import sentences
from search.output.live_view.phases import counts, ended, purposes_text, total
from search.output.live_view.progress import duration, state
from search.output.openings import openings_text
from search.output.outcome_table import better_on_test, has_gap
from search.output.result import Outcome, saved_by_pruning_s, trained_s
from search.scoring.pgr import SIGNIFICANT_P

LONGEST = 400  # characters of a cause
CAUSES = 2  # causes of pruning that a branch shows


def headline(config: RunConfig, record: Record, outcome: Outcome | None) -> str:
    """The outcome in a sentence with its uncertainty; for an unfinished run, what is known so far.

    Begins with another sentence where an agent was asked and no round is its own.
    """
    others = not_the_agents(agent_row(record))
    first = f"{others} " if others else ""
    if outcome is not None:
        opened_again = f" Note that {openings_text(outcome)}." if record.after_opening else ""
        another = better_on_test(outcome)
        more = f" The best was named on the search split; {another}." if another else ""
        return first + _on_hidden(outcome) + _confirmed(outcome) + more + opened_again
    best = record.best()
    so_far = f"{first}Not finished: {ended(record)} of {total(config, record)} trials have ended"
    if best is None or best.best is None:
        return f"{so_far}, and none has a result yet."
    return (
        f"{so_far}. The best search trial so far, of {best.branch}, has a PGR of {best.best.pgr:.3f} ± "
        f"{best.best.se:.3f} on the search split: the best of many noisy scores, not confirmed yet."
    )


def _on_hidden(outcome: Outcome) -> str:
    """What hidden tasks decide, which comes first; empty without them."""
    if not outcome.get("hidden"):
        return ""
    decided = next(sentences(outcome))
    where = "the tasks of the search" if outcome.get("tasks") else "the task of the search"
    return f"{decided[0].upper()}{decided[1:]}. On {where}: "


def _confirmed(outcome: Outcome) -> str:
    best, naive = outcome["best"], outcome["naive"]
    over, p = best["over_naive"], best["beats_naive_p"]
    verdict = (
        "better than"
        if p < SIGNIFICANT_P
        else "not clearly better than"
        if over["pgr" if has_gap(outcome) else "accuracy"] > 0
        else "not better than"
    )
    if not has_gap(outcome):
        floors = outcome["baselines"]
        return (
            f"The test split has no gap to recover: the ceiling's accuracy is {floors['ceiling_acc']:.4f} ± "
            f"{floors['ceiling_se']:.4f}, the weak floor's {floors['weak_acc']:.4f} ± "
            f"{floors['weak_se']:.4f}. {best['branch']} reaches {best['accuracy']:.4f} ± "
            f"{best['accuracy_se']:.4f} ({best['seeds']} fresh seeds), {over['accuracy']:+.4f} against naive "
            f"at {naive['accuracy']:.4f}: {verdict} naive (one-sided p = {p:.2g})."
        )
    tasks = len(outcome.get("tasks") or ())
    split = f"mean over the test splits of {tasks} tasks" if tasks > 1 else "test split"
    low, high = best["ci95"]
    least, most = over["ci95"]
    recovered = f"{best['pgr']:.1%}" if best["pgr"] > 0 else "none"
    return (
        f"{best['branch']} recovers {recovered} of the performance gap (PGR {best['pgr']:.3f} ± "
        f"{best['se']:.3f}, 95% interval {low:.3f} to {high:.3f}, {best['seeds']} fresh seeds, {split}), "
        f"{over['pgr']:+.3f} (95% interval {least:+.3f} to {most:+.3f}) against naive at {naive['pgr']:.3f}: "
        f"{verdict} naive (one-sided p = {p:.2g})."
    )


def tiles(config: RunConfig, record: Record, outcome: Outcome | None) -> list[tuple[str, str, str]]:
    """Key figures: label, value, note."""
    ends = ", ".join(f"{record.ended(end)} {end}" for end in get_args(EndState))
    spent, saved = trained_s(record), saved_by_pruning_s(record)
    rows = [
        ("trials", str(len(record.trials)), f"{purposes_text(counts(record))}; {ends}"),
        ("branches", str(len(record.branches)), f"in {record.rounds} rounds"),
        ("training", duration(spent), f"{duration(saved)} saved by pruning"),
        ("state", state(record), f"last event {when(last_at(record))}"),
    ]
    if outcome is None:
        return rows
    best, naive = outcome["best"], outcome["naive"]
    if not has_gap(outcome):
        return [
            ("best accuracy", f"{best['accuracy']:.3f}", f"± {best['accuracy_se']:.3f}, test split"),
            ("naive accuracy", f"{naive['accuracy']:.3f}", f"± {naive['accuracy_se']:.3f}, test split"),
            *rows,
        ]
    return [
        *_hidden_tiles(outcome),
        ("best PGR", f"{best['pgr']:.3f}", f"± {best['se']:.3f}, test split{_accuracy(best)}"),
        ("naive PGR", f"{naive['pgr']:.3f}", f"± {naive['se']:.3f}, test split{_accuracy(naive)}"),
        *rows,
    ]


def _hidden_tiles(outcome: Outcome) -> list[tuple[str, str, str]]:
    """The gain over naive where the search did not look; none without hidden tasks that tell of it."""
    hidden = outcome.get("hidden")
    if not hidden or hidden["best"]["beats_naive_p"] is None:
        return []
    best = hidden["best"]
    over, p, tasks = best["over_naive"], best["beats_naive_p"], len(best["on"])
    on = "hidden task" if tasks == 1 else f"{tasks} hidden tasks"
    return [("over naive, hidden", f"{over['pgr']:+.3f}", f"± {over['se']:.3f}, {on}; p = {p:.2g}")]


def _accuracy(confirmed: Mapping[str, Any]) -> str:
    """The accuracy, where the result has it: those of earlier versions have not."""
    return f"; accuracy {confirmed['accuracy']:.3f}" if "accuracy" in confirmed else ""


def last_at(record: Record) -> float | None:
    """The time of the last event that the record keeps a time of."""
    times = [record.started_at, record.baselines.at if record.baselines else None]
    for trial in record.trials.values():
        times += [trial.started_at, trial.ended_at, *(rung.at for rung in trial.rungs.values())]
    return max((time for time in times if time is not None), default=None)


def when(at: float | None) -> str:
    """A time in UTC to the minute."""
    return "never" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


@dataclass(kw_only=True)
class Node:
    """A branch of the family tree, with the branches that grew from it."""

    branch: Branch
    round: int
    counts: str
    result: str
    pruned: str
    children: list["Node"] = field(default_factory=list)


def family_tree(record: Record) -> list[Node]:
    """The branches without a parent, each with its descendants; an unknown parent counts as none."""
    mine: dict[str, list[TrialRecord]] = defaultdict(list)
    for trial in record.of_purpose("search"):
        mine[trial.branch].append(trial)
    nodes: dict[str, Node] = {}
    roots: list[Node] = []
    for name, found in record.branches.items():
        node = _node(found.branch, found.round, mine[name], record.best(name))
        parent = nodes.get(found.branch.parent or "")
        (parent.children if parent else roots).append(node)
        nodes[name] = node
    return roots


def _node(branch: Branch, number: int, trials: list[TrialRecord], best: TrialRecord | None) -> Node:
    states = Counter(trial.state or "running" for trial in trials)
    causes = list(dict.fromkeys(short(trial.cause) for trial in trials if trial.state == "pruned"))
    more = f" and {len(causes) - CAUSES} more" if len(causes) > CAUSES else ""
    return Node(
        branch=branch,
        round=number,
        counts=", ".join(f"{n} {name}" for name, n in sorted(states.items())) or "no trial yet",
        result=f"best PGR {pgr(best)}" if best else "no trial has a score",
        pruned="; ".join(causes[:CAUSES]) + more,
    )


def pgr(trial: TrialRecord) -> str:
    """A trial's PGR at its best rung with its error, or a dash if it has none."""
    best = trial.best
    return f"{best.pgr:.3f} ± {best.se:.3f}" if best else "–"


def short(cause: str | None) -> str:
    """A cause on one line, shortened to fit the page."""
    line = " ".join((cause or "no cause was recorded").split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def failures(record: Record) -> list[tuple[str, list[str]]]:
    """Causes of failure with the trials that failed for them, the most frequent first."""
    met: dict[str, list[str]] = defaultdict(list)
    for trial in record.trials.values():
        if trial.state == "failed":
            met[short(trial.cause)].append(f"{trial.trial} ({trial.branch or 'naive'})")
    return sorted(met.items(), key=lambda pair: len(pair[1]), reverse=True)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table of trials. stop: where its best rung, and so its method, stops; None before a rung.

    share: how far it was trained. accuracy, pgr, se: at its best rung, None without a grade.
    """

    trial: str
    purpose: str
    branch: str
    state: str
    accuracy: float | None
    pgr: float | None
    se: float | None
    stop: float | None
    share: float | None
    seconds: float
    method: str


def trial_rows(config: RunConfig, record: Record) -> Iterator[Row]:
    """Every trial, in order of its start."""
    for trial in record.trials.values():
        best = trial.best
        yield Row(
            trial=trial.trial,
            purpose=trial.purpose,
            branch=trial.branch or "naive",
            state=trial.state or "running",
            accuracy=best.accuracy if best else None,
            pgr=best.pgr if best else None,
            se=best.se if best else None,
            stop=best.share if best else None,
            share=trial.last.share if trial.last else None,
            seconds=trial.train_s,
            method=differences(trial.best_method, config.naive),
        )


def sources(record: Record, outcome: Outcome | None) -> list[tuple[str, str]]:
    """Digests of data and weights, commits of hub ids, further code, and openings of the test split."""
    rows = []
    if record.started is not None and (found := record.started.sources) is not None:
        rows += [(f"digest: {name}", value) for name, value in found.digests.items()]
        rows += [(f"hub commit: {place}", commit) for place, commit in found.commits.items()]
    for code in record.codes[1:]:
        changed = other_code(record.codes[0], code)
        rows.append(("went on with other code", changed))
    if outcome is not None and (openings := openings_text(outcome)):
        rows.append(("test split", openings))
    return rows


def costs(record: Record) -> list[tuple[str, str]]:
    """The cost of the run so far."""
    spent, saved = trained_s(record), saved_by_pruning_s(record)
    share = saved / (spent + saved) if spent + saved > 0 else 0.0
    rows = [
        ("wall time, while a process was at work", duration(record.active_s)),
        ("training and evaluation, baselines included", duration(spent)),
        ("saved by pruning", f"{duration(saved)}, {share:.0%} of what it would have been"),
    ]
    queries = record.grader_queries
    openings = f" in {record.test_openings} openings" if record.test_openings > 1 else ""
    rows.append(("grader queries", f"{queries['search']} search, {queries['test']} test{openings}"))
    usage = asked_usage(record)
    tokens = f"{usage.all_input_tokens:,} in, {usage.output_tokens:,} out"
    return [*rows, ("proposer", f"{usage.usd:.4f} USD; tokens: {tokens}")]


def lost_data(record: Record) -> list[str]:
    """What was lost of the data, a line for each file and model that lost some, with its task of several."""
    if record.baselines is None:
        return []
    of_tasks = [(f"{task.name}: ", task.data) for task in record.baselines.tasks]
    found = of_tasks or [("", record.baselines.data)]
    return [f"{task}{line}" for task, counts in found if counts for line in counts.sentences()]


def seeds(config: RunConfig) -> list[tuple[str, str]]:
    """The seeds of the run, by purpose."""
    return [
        ("run", str(config.seed)),
        ("search trials", str(config.search_seed())),
        ("replicates", ", ".join(map(str, config.replication_seeds())) or "none"),
        ("confirmation", ", ".join(map(str, config.confirm_seeds()))),
        ("baselines", f"{config.baselines.seeds} of each"),
    ]
