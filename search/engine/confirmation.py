"""Finalists and the naive baseline, on fresh seeds and the sealed test split."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.config.schema import RunConfig
from search.engine.replication import eligible, unlike
from search.ledger.record import Record, TrialRecord
from search.scoring.grader import TestGrades
from search.scoring.pgr import Estimate, difference, estimate
from trainers.components.weak_labels import supervisor_of
from trainers.method import Method


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A method that goes to confirmation: its trial of the search, and its mean PGR over its search seeds."""

    trial: TrialRecord
    search_pgr: float


def choose_finalists(config: RunConfig, record: Record) -> list[Finalist]:
    """The methods that go to confirmation, highest lower bound on PGR over seeds first.

    No two of them are alike: the same components in all slots, whatever their numbers. The order is fixed
    before the test split is opened, so that the first can be called the best without having been chosen on
    the split that it is reported on. The naive baseline is never one of them: it is what they are confirmed
    beside, and `beats_naive_p` says whether the best is better.
    """
    chosen = unlike(eligible(config, record), config.confirm.finalists, 1)
    return [Finalist(trial=one.trial, search_pgr=one.search_pgr) for one in chosen]


def planned_confirmation(config: RunConfig, record: Record) -> list[tuple[Method, int]]:
    """Every (method, seed) of the confirmation: the naive baseline, then the finalists."""
    finalists = choose_finalists(config, record)
    methods = [config.naive, *(one.trial.method for one in finalists)]
    return [(method, seed) for method in methods for seed in config.confirm_seeds()]


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """A method on the test split: PGR over seeds, and what it gains over the naive baseline, paired."""

    method: Method
    pgr: Estimate
    gain: Estimate
    seeds: int


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The naive baseline and the finalists that completed on every seed, in the order they were chosen in."""

    naive: Confirmed
    finalists: Sequence[tuple[Finalist, Confirmed]]


def sealed_predictions(config: RunConfig, record: Record) -> dict[str, list[str]]:
    """Packed test predictions of every method that completed on all fresh seeds: digest -> one a seed.

    Raises RuntimeError if the naive baseline is not among them, as there is nothing to compare with, or if it
    is alone.
    """
    completed: dict[str, dict[int, str]] = {}
    for trial in record.of_purpose("confirm"):
        if trial.state == "completed" and trial.last is not None:
            completed.setdefault(trial.method.digest, {})[trial.seed] = trial.last.predictions
    seeds = config.confirm_seeds()
    whole = {
        name: [by_seed[seed] for seed in seeds]
        for name, by_seed in completed.items()
        if by_seed.keys() >= set(seeds)
    }
    if config.naive.digest in whole and len(whole) > 1:
        return whole
    failed = [trial for trial in record.of_purpose("confirm") if trial.state == "failed"]
    if not failed:
        raise RuntimeError("no method of the search completed, so there is no finalist; see the ledger")
    who = "no finalist completed" if config.naive.digest in whole else "the naive baseline did not complete"
    raise RuntimeError(
        f"{who} on every confirmation seed, the last that failed because: {failed[-1].cause}. "
        "Mend what is at fault, then resume: what failed is tried again"
    )


def confirm(config: RunConfig, record: Record, grades: TestGrades) -> Confirmation:
    """The statistics of the confirmation, from what the grader says of the test predictions."""
    seeds = config.confirm_seeds()
    supervisors = np.array([supervisor_of(seed, config.baselines.seeds) for seed in seeds])
    naive_correct = grades.correct[config.naive.digest]

    def confirmed(method: Method) -> Confirmed:
        correct = grades.correct[method.digest]
        return Confirmed(
            method=method,
            pgr=estimate(correct, supervisors, grades.baselines),
            gain=difference(correct, naive_correct, supervisors, grades.baselines),
            seeds=len(seeds),
        )

    finalists = choose_finalists(config, record)
    return Confirmation(
        naive=confirmed(config.naive),
        finalists=[
            (one, confirmed(one.trial.method))
            for one in finalists
            if one.trial.method.digest in grades.correct
        ],
    )
