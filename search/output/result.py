"""The outcome of a run: result.json.

`data` counts what became of the rows of the data, and what the models' lengths leave of them.
`collapses` counts seeds whose PGR is below `below_pgr`, and bounds the share of seeds that collapse
(search.scoring.collapses); null without a gap. `sign_flip` is the exact test of `over_naive`, with the
smallest p that so many seeds can give; null where there are many (search.scoring.sign_flip).
`trials` counts all, by how they ended; `phases` says what they were for. A trial is one training of one
method with one seed.
`from_runs` names the earlier runs whose methods the search began with, and whether they had opened any of
the test examples, as far as the registry knows.
`steered` lists what persons changed while the run went on, and whether they knew an outcome by then.
`predictions` stands where the config asks for it: the classes of each seed, as bits in hexadecimal, in
the order of `per_seed`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search.engine.confirmation import Confirmation, Confirmed, Finalist, SeedOutcome
from search.ledger.events import RunStarted
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from search.output.agent.proposers import agent_row, asked_usage
from search.output.live_view.phases import STATES, counts
from search.output.openings import openings_part
from search.scoring.collapses import Collapses
from search.scoring.grader import BaselineScores
from search.scoring.objective import Objective
from search.scoring.pgr import Estimate
from trainers.files import replace_file

SCHEMA = 1
Outcome = Mapping[str, Any]  # the content of result.json, or a part of it


@dataclass(frozen=True, kw_only=True)
class TaskOutcome:
    """The confirmation on a task, and the baselines on its test split. task: empty for the search's own.

    new_task95: over several searched tasks, where the gain of each finalist on a further task of the kind
    would come out; None with fewer than two that have a gap.
    """

    confirmation: Confirmation
    baselines: BaselineScores
    task: str = ""
    new_task95: Sequence[tuple[float, float] | None] = ()


def result(
    record: Record,
    outcome: TaskOutcome,
    hidden: dict[str, Any] | None = None,
    tasks: list[dict[str, Any]] | None = None,
    from_runs: Sequence[str] = (),
    objective: Objective | None = None,
) -> dict[str, Any]:
    """The content of result.json. All accuracies, PGRs and errors are of the test split, except `search_pgr`.

    hidden, tasks: see `search.output.hidden` and `search.output.searched_tasks`. Where there are `tasks`,
    everything else is over all of them: means, with the error over seeds and examples on these tasks, and
    `over_naive.new_task95` is the 95% interval of a finalist's gain on a further task of the kind.
    `search_pgr` is a mean over seeds on the search split, null for naive where it was not trained there;
    `search_over_naive` is paired on the seeds that both have there. Of several tasks both are by `objective`.

    If the test split has no gap, every PGR on it is null with its error and interval, and `beats_naive_p` is
    that of the accuracies.
    `best` is the finalist that ranked first on the search split, whether or not it then beats naive.
    `over_naive` is a finalist's PGR minus the naive baseline's, paired by seed and example, and
    `beats_naive_p` the one-sided p value of the hypothesis that this difference is not above zero. `train_s`
    counts baselines, search and confirmation.
    """
    assert record.started is not None
    assert record.baselines is not None
    confirmation, baselines = outcome.confirmation, outcome.baselines
    finalists = _finalists(outcome)
    return {
        "schema": SCHEMA,
        "run": record.started.run,
        "config_sha256": record.config_sha256,
        "commit": record.started.commit,
        "code": record.codes,
        "sources": _sources(record.started),
        "hidden": hidden,
        "tasks": tasks,
        "objective": objective,
        "baselines": {**floors_row(baselines), "seeds": record.baselines.seeds},
        "data": record.baselines.data.model_dump() if record.baselines.data else None,
        "naive": {**confirmed_row(confirmation.naive), "search_pgr": confirmation.naive_search_pgr},
        "best": finalists[0],
        "finalists": finalists,
        "rounds": record.rounds,
        "branches": len(record.branches),
        "trials": {state: record.ended(state) for state in STATES},
        "phases": counts(record),
        "cost": _cost(record),
        "agent": agent_row(record),
        "grader_queries": {split: record.grader_queries[split] for split in ("search", "test")},
        "test_openings": record.test_openings,
        **openings_part(record, from_runs),
    }


def _cost(record: Record) -> dict[str, Any]:
    usage = asked_usage(record)
    return {
        "wall_s": record.active_s,
        "train_s": trained_s(record),
        "saved_by_pruning_s": saved_by_pruning_s(record),
        "usd": usage.usd,
        "unanswered_usd": record.bill.unanswered_usd,
        "input_tokens": usage.all_input_tokens,
        "output_tokens": usage.output_tokens,
    }


def _finalists(outcome: TaskOutcome) -> list[dict[str, Any]]:
    rows = [finalist_row(finalist, confirmed) for finalist, confirmed in outcome.confirmation.finalists]
    if outcome.new_task95:
        for row, new in zip(rows, outcome.new_task95, strict=True):
            row["over_naive"]["new_task95"] = None if new is None else list(new)
    return rows


def floors_row(baselines: BaselineScores) -> dict[str, Any]:
    """Weak floor, ceiling and gap on a test split. majority: the share of the larger class."""
    return {
        **baselines.accuracies,
        "gap": baselines.gap,
        "gap_se": baselines.gap_se,
        "majority": baselines.majority,
        "weak_per_seed": list(baselines.weak_seeds),
        "ceiling_per_seed": list(baselines.ceiling_seeds),
    }


def _sources(started: RunStarted) -> dict[str, Any] | None:
    """Digests and commits without the salt, so that nobody can guess labels from this file."""
    return None if started.sources is None else started.sources.model_dump(exclude={"salt"})


def confirmed_row(confirmed: Confirmed) -> dict[str, Any]:
    """A method on a test split."""
    return {
        "method": confirmed.method.model_dump(),
        "accuracy": confirmed.accuracy.value,
        "accuracy_se": confirmed.accuracy.se,
        **pgr_row(confirmed.pgr),
        "seeds": confirmed.seeds,
        "split": "test",
        "per_seed": [_seed(outcome) for outcome in confirmed.per_seed],
        "worst_seed": _seed(min(confirmed.per_seed, key=lambda outcome: outcome.accuracy)),
        "collapses": _collapses(confirmed.collapses),
        **({} if confirmed.predictions is None else {"predictions": list(confirmed.predictions)}),
    }


def _collapses(found: Collapses | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"count": found.count, "below_pgr": found.below, "rate_upper95": found.rate_upper95}


def _seed(outcome: SeedOutcome) -> dict[str, Any]:
    return {
        "seed": outcome.seed,
        "supervisor": outcome.supervisor,
        "accuracy": outcome.accuracy,
        "pgr": outcome.pgr,
        "over_naive": outcome.gain,
    }


def finalist_row(finalist: Finalist, confirmed: Confirmed) -> dict[str, Any]:
    """A finalist on a test split, and its gain over naive."""
    return {
        **confirmed_row(confirmed),
        "branch": finalist.trial.branch,
        "trial": finalist.trial.trial,
        "search_pgr": finalist.search_pgr,
        "search_over_naive": finalist.search_gain,
        "over_naive": {
            "accuracy": confirmed.accuracy_gain.value,
            "accuracy_se": confirmed.accuracy_gain.se,
            **pgr_row(confirmed.gain),
        },
        "beats_naive_p": confirmed.beats_naive_p,
        "sign_flip": None if confirmed.sign_flip is None else asdict(confirmed.sign_flip),
    }


def pgr_row(estimate: Estimate | None) -> dict[str, Any]:
    """A PGR or a gain with its error; all null where there is no gap."""
    if estimate is None:
        return {"pgr": None, "se": None, "ci95": None}
    return {"pgr": estimate.value, "se": estimate.se, "ci95": list(estimate.ci95)}


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
