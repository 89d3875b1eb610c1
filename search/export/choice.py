"""What is exported: a method of a run, the seed that it is trained with, and what the run recorded of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search.config.schema import RunConfig
from search.ledger.events import Reached
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from search.output.openings import openings_text
from trainers.data.examples import SplitName
from trainers.method import Method

BEST, NAIVE = "best", "naive"


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A method to export.

    name: `best`, `naive` or a trial. seed: of the training; it decides the weak supervisor too. trial, rung:
    the trial that was this training, and where it ended; None if the run has none. split: whose inputs it
    predicted. row: what result.json says of the method; None if it says nothing. openings: who has opened
    the test split, if it was more than once.

    Of several searched tasks the first is exported. task: its name; empty for a single one. row: of the
    method on this task; over_tasks: over all of them.
    """

    name: str
    method: Method
    seed: int
    split: SplitName
    trial: TrialRecord | None = None
    rung: Reached | None = None
    row: Mapping[str, Any] | None = None
    task: str = ""
    over_tasks: Mapping[str, Any] | None = None
    openings: str = ""


def choose(
    config: RunConfig, record: Record, outcome: Mapping[str, Any] | None, name: str, seed: int | None = None
) -> Chosen:
    """The method that a user names: `best` (of the outcome), `naive`, or a trial of the run.

    best, naive: with the first seed of the confirmation, which no score has chosen, or with `seed`. A trial:
    with its own seed; a search trial is the method that stops at its best rung. Raises ValueError, of one
    line, if the run has no such method or seed.
    """
    if name in (BEST, NAIVE):
        return _confirmed(config, record, outcome, name, seed)
    trial = record.trials.get(name)
    if trial is None:
        raise ValueError(
            f"--method {name}: the run has no such trial; give best, naive, or a trial that `python -m "
            "search trials DIR` lists"
        )
    if trial.purpose == "hidden":
        raise ValueError(
            f"--method {name}: this trial learned the hidden task {trial.task}; choose one of the search's"
        )
    if seed not in (None, trial.seed):
        raise ValueError(f"--seed {seed}: the trial {name} has seed {trial.seed}; leave --seed out")
    if trial.purpose == "confirm":
        rung, method, split = trial.last, trial.method, "test"
    else:
        rung, method, split = trial.best, trial.best_method, "search"
    if rung is None or trial.state == "failed":
        cause = f" ({trial.cause})" if trial.cause else ""
        raise ValueError(f"--method {name}: this trial has no result{cause}; choose another one")
    return Chosen(
        name=name,
        method=method,
        seed=trial.seed,
        split="test" if split == "test" else "search",
        trial=trial,
        rung=_on_first_task(config, trial, rung),
        **_said(config, outcome, method),
    )


def _confirmed(
    config: RunConfig, record: Record, outcome: Mapping[str, Any] | None, name: str, seed: int | None
) -> Chosen:
    seeds = config.confirm_seeds()
    chosen = seeds[0] if seed is None else seed
    if chosen not in seeds:
        listed = ", ".join(map(str, seeds))
        raise ValueError(f"--seed {seed}: must be a seed of the confirmation ({listed})")
    if name == BEST and outcome is None:
        raise ValueError(
            "the run has no outcome yet, so it has no best method: let it finish (python -m search resume "
            "DIR), or give --method naive or a trial"
        )
    if name == NAIVE or outcome is None:
        method = config.naive
    else:
        method = Method.model_validate(outcome["best"]["method"])
    trial = next(
        (
            found
            for found in record.of_purpose("confirm")
            if (found.method.digest, found.seed, found.state) == (method.digest, chosen, "completed")
        ),
        None,
    )
    return Chosen(
        name=name,
        method=method,
        seed=chosen,
        split="test",
        trial=trial,
        rung=_on_first_task(config, trial, trial.last) if trial and trial.last else None,
        **_said(config, outcome, method),
    )


def _on_first_task(config: RunConfig, trial: TrialRecord, rung: Reached) -> Reached:
    """A rung on the task that is exported: of several searched tasks the first."""
    return trial.on_tasks[rung.share, config.tasks[0].name] if config.tasks else rung


def _said(config: RunConfig, outcome: Mapping[str, Any] | None, method: Method) -> dict[str, Any]:
    """What result.json says of a method and of the test split, as fields of Chosen."""
    task = config.tasks[0].name if config.tasks else ""
    if outcome is None:
        return {"task": task}
    split = outcome.get("test_split") or {}
    openings = openings_text(outcome) if split.get("opened", 0) > 1 else ""
    if not config.tasks:
        return {"row": _row(outcome, method), "openings": openings}
    there = next((each for each in outcome.get("tasks") or () if each["name"] == task), None)
    return {
        "row": there and _row(there, method),
        "task": task,
        "over_tasks": _row(outcome, method),
        "openings": openings,
    }


def _row(outcome: Mapping[str, Any], method: Method) -> Mapping[str, Any] | None:
    rows = [*outcome["finalists"], outcome["naive"]]
    return next((row for row in rows if Method.model_validate(row["method"]) == method), None)
