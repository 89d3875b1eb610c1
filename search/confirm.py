"""Finalists and the naive baseline, on fresh seeds and the sealed test split."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from search.config import RunConfig
from search.grading import TestAnswers
from search.ledger import Purpose
from search.pgr import Estimate, difference, estimate
from search.record import Record, TrialRecord
from trainers.method import Method


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A method that goes to confirmation: its trial of the search, and its mean PGR over its search seeds."""

    trial: TrialRecord
    search_pgr: float


def planned_replication(config: RunConfig, record: Record) -> list[tuple[TrialRecord, int]]:
    """The best methods of the search, each with further seeds: (trial of the search, seed).

    One seed flatters: the best of many noisy scores is mostly lucky. So the best search trials are trained
    again, on other seeds and so on the labels of other weak supervisors, before finalists are chosen.
    """
    best = sorted(_scored(record, "search"), key=lambda pair: pair[0], reverse=True)
    kept = best[: max(config.replication.methods, config.confirm.finalists)]
    return [(trial, seed) for seed in config.replication_seeds() for _, trial in kept]


def choose_finalists(record: Record, count: int) -> list[Finalist]:
    """The methods that go to confirmation, best mean search PGR first; ties go to the earlier one.

    Where methods were replicated, only those with the most completed seeds can be chosen. The order is fixed
    before the test split is opened, so that the first can be called the best without having been chosen on
    the split that it is reported on.
    """
    by_method: dict[str, list[float]] = {}
    for pgr, trial in [*_scored(record, "search"), *_scored(record, "replicate")]:
        by_method.setdefault(trial.method.digest, []).append(pgr)
    most = max(map(len, by_method.values()), default=0)
    finalists = [
        Finalist(trial=trial, search_pgr=fmean(by_method[trial.method.digest]))
        for _, trial in _scored(record, "search")
        if len(by_method[trial.method.digest]) == most
    ]
    return sorted(finalists, key=lambda one: one.search_pgr, reverse=True)[:count]


def _scored(record: Record, purpose: Purpose) -> list[tuple[float, TrialRecord]]:
    return [
        (trial.last.pgr, trial)
        for trial in record.of_purpose(purpose)
        if trial.state == "completed" and trial.last is not None and trial.last.pgr is not None
    ]


def planned_confirmation(config: RunConfig, record: Record) -> list[tuple[Method, int]]:
    """Every (method, seed) of the confirmation: the naive baseline, then the finalists."""
    finalists = choose_finalists(record, config.confirm.finalists)
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

    Raises RuntimeError if the naive baseline is not among them: there is nothing to compare with.
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
    if config.naive.digest not in whole:
        raise RuntimeError("the naive baseline did not complete on every confirmation seed; see the ledger")
    return whole


def confirm(config: RunConfig, record: Record, answers: TestAnswers) -> Confirmation:
    """The statistics of the confirmation, from what the grader says of the test predictions."""
    seeds = np.array(config.confirm_seeds())
    supervisors = seeds % config.baselines.seeds
    naive_correct = answers.correct[config.naive.digest]

    def confirmed(method: Method) -> Confirmed:
        correct = answers.correct[method.digest]
        return Confirmed(
            method=method,
            pgr=estimate(correct, supervisors, answers.baselines),
            gain=difference(correct, naive_correct, supervisors, answers.baselines),
            seeds=len(seeds),
        )

    finalists = choose_finalists(record, config.confirm.finalists)
    return Confirmation(
        naive=confirmed(config.naive),
        finalists=[
            (one, confirmed(one.trial.method))
            for one in finalists
            if one.trial.method.digest in answers.correct
        ],
    )
