"""The check that a finished run lost nothing and did nothing twice."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from search.ledger.events import TrialEnded
from search.ledger.log import read_ledger
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from search.storage.run_directory import RunDirectory
from search.studies.storage import open_journal

STATES = {"completed": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def problems(out: Path) -> list[str]:
    """What is wrong with a finished run, a line each; [] if every trial is there exactly once everywhere."""
    _, record = RunDirectory(out).load()
    events = read_ledger(out / "ledger.jsonl")
    outcome = json.loads((out / "result.json").read_text())
    return [
        *_ledger_problems(record, [event for event in events if isinstance(event, TrialEnded)]),
        *_optuna_problems(record, out / "optuna.log"),
        *_outcome_problems(record, outcome),
    ]


def _ledger_problems(record: Record, ends: Sequence[TrialEnded]) -> Iterator[str]:
    if not record.finished:
        yield "the ledger has no end"
    for trial, times in Counter(end.trial for end in ends).items():
        if times != 1:
            yield f"{trial} ends {times} times in the ledger"
    for trial in record.unfinished():
        yield f"{trial.trial} never ends in the ledger"
    for one in record.trials.values():
        if one.state == "completed" and 1.0 not in one.rungs:
            yield f"{one.trial} completed without its last rung"
    methods = Counter(trial.method.digest for trial in record.of_purpose("search"))
    if methods and max(methods.values()) > 1:
        yield "a method was searched twice"


def _optuna_problems(record: Record, journal: Path) -> Iterator[str]:
    storage = open_journal(journal)
    studies = {study.study_name for study in storage.get_all_studies()}
    for branch in record.branches:
        told = dict[int, optuna.trial.FrozenTrial]()  # no study before the first draw from a branch
        if branch in studies:
            study = optuna.load_study(study_name=branch, storage=storage)
            told = {trial.number: trial for trial in study.trials}
        for trial in record.of_purpose("search"):
            if trial.branch == branch and trial.number is not None:
                yield from _told_problems(trial, told.pop(trial.number, None))
        for number, trial_told in told.items():  # draws that were refused, or that a crash came between
            if trial_told.state != TrialState.FAIL:
                yield f"study {branch} has a trial {number} that the ledger does not know: {trial_told.state}"


def _told_problems(trial: TrialRecord, told: optuna.trial.FrozenTrial | None) -> Iterator[str]:
    if told is None:
        yield f"{trial.trial} is not in its study"
        return
    if trial.state is None or told.state != STATES[trial.state]:
        yield f"{trial.trial} is {trial.state} in the ledger, {told.state} in its study"
    if trial.state == "completed" and told.value != trial.best_pgr:
        yield f"{trial.trial} has PGR {trial.best_pgr} in the ledger, {told.value} in its study"


def _outcome_problems(record: Record, outcome: dict[str, Any]) -> Iterator[str]:
    counts = Counter(trial.state for trial in record.trials.values())
    if outcome["trials"] != {state: counts[state] for state in STATES}:
        yield f"result.json counts {outcome['trials']}, the ledger {dict(counts)}"
    if outcome["grader_queries"] != dict(record.grader_queries):
        yield f"result.json has {outcome['grader_queries']} queries, the ledger {dict(record.grader_queries)}"
    if outcome["finalists"][0] != outcome["best"]:
        yield "the best is not the first finalist"
    confirmed = {trial.method.digest for trial in record.of_purpose("confirm")}
    if len(confirmed) < 1 + len(outcome["finalists"]):
        yield "there are more finalists than methods in the confirmation"
    for one in (outcome["naive"], *outcome["finalists"]):
        if one["pgr"] is None:  # no gap on the test split
            if not (0 <= one["accuracy"] <= 1 and one["accuracy_se"] >= 0):
                yield f"no accuracy with its error: {one}"
            continue
        low, high = one["ci95"]
        if not (math.isfinite(one["pgr"]) and one["se"] >= 0 and low <= one["pgr"] <= high):
            yield f"no PGR with its error: {one}"
