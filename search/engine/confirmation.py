"""The confirmation: finalists and the naive baseline, on fresh seeds and the sealed test split."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.config.schema import RunConfig
from search.engine.replication import at_most_per_kind, eligible
from search.ledger.record import Record, TrialRecord
from search.scoring.grader import TestGrades
from search.scoring.pgr import Estimate, accuracy_gain, difference, estimate
from trainers.components.weak_labels import supervisor_of
from trainers.method import Method


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A method to confirm, its search trial, and its mean PGR over search and replication seeds."""

    trial: TrialRecord
    method: Method
    search_pgr: float


def choose_finalists(config: RunConfig, record: Record) -> list[Finalist]:
    """The methods to confirm, highest lower bound on PGR over seeds first.

    No two have the same components in all slots. The order is fixed before the test split is opened, so the
    first is the best without having been chosen on the split that reports it. The naive baseline is never a
    finalist: finalists are compared with it, and `beats_naive_p` says whether the best is better.
    """
    chosen = at_most_per_kind(eligible(config, record), config.confirm.finalists, 1)
    return [Finalist(trial=one.trial, method=one.method, search_pgr=one.search_pgr) for one in chosen]


def planned_confirmation(config: RunConfig, record: Record) -> list[tuple[Method, int]]:
    """Every (method, seed) of the confirmation: the naive baseline, then the finalists."""
    finalists = choose_finalists(config, record)
    methods = [config.naive, *(finalist.method for finalist in finalists)]
    return [(method, seed) for method in methods for seed in config.confirm_seeds()]


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """A method on the test split: accuracy and PGR over seeds, and its paired gain over the naive baseline.

    pgr, gain: None if the test split has no gap. accuracy_gain: the gain in accuracy.
    """

    method: Method
    accuracy: Estimate
    accuracy_gain: Estimate
    pgr: Estimate | None
    gain: Estimate | None
    seeds: int

    @property
    def beats_naive_p(self) -> float:
        """One-sided p value of the hypothesis that the method is no better than naive."""
        return (self.gain or self.accuracy_gain).p_positive


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The naive baseline and the finalists that completed on every seed, in their order of choice."""

    naive: Confirmed
    finalists: Sequence[tuple[Finalist, Confirmed]]


def sealed_predictions(config: RunConfig, record: Record) -> dict[str, list[str]]:
    """Test predictions of every method that completed on all fresh seeds, by the method's digest.

    Each value holds the packed predictions of each seed. Raises RuntimeError if the naive baseline, which
    finalists are compared with, or every finalist is missing.
    """
    completed: dict[str, dict[int, str]] = {}
    for trial in record.of_purpose("confirm"):
        if trial.state == "completed" and trial.last is not None:
            completed.setdefault(trial.method.digest, {})[trial.seed] = trial.last.predictions
    seeds = config.confirm_seeds()
    on_all_seeds = {
        digest: [by_seed[seed] for seed in seeds]
        for digest, by_seed in completed.items()
        if by_seed.keys() >= set(seeds)
    }
    if config.naive.digest in on_all_seeds and len(on_all_seeds) > 1:
        return on_all_seeds
    failed = [trial for trial in record.of_purpose("confirm") if trial.state == "failed"]
    if not failed:
        raise RuntimeError("no method of the search completed, so there is no finalist; see the ledger")
    naive_completed = config.naive.digest in on_all_seeds
    missing = "no finalist completed" if naive_completed else "the naive baseline did not complete"
    raise RuntimeError(
        f"{missing} on every confirmation seed; the last failure: {failed[-1].cause}. "
        "Fix the cause, then resume: failed trials are tried again"
    )


def confirm(config: RunConfig, record: Record, grades: TestGrades) -> Confirmation:
    """The statistics of the confirmation. grades: of the test predictions, see `sealed_predictions`.

    No gap on the test split is an outcome: accuracies, and no PGR.
    """
    seeds = config.confirm_seeds()
    supervisors = np.array([supervisor_of(seed, config.baselines.seeds) for seed in seeds])
    naive_correct = grades.correct[config.naive.digest]
    has_gap = grades.baselines.ceiling_acc > grades.baselines.weak_acc

    def confirmed(method: Method) -> Confirmed:
        correct = grades.correct[method.digest]
        return Confirmed(
            method=method,
            accuracy=accuracy_gain(correct, np.zeros_like(correct), supervisors),
            accuracy_gain=accuracy_gain(correct, naive_correct, supervisors),
            pgr=estimate(correct, supervisors, grades.baselines) if has_gap else None,
            gain=difference(correct, naive_correct, supervisors, grades.baselines) if has_gap else None,
            seeds=len(seeds),
        )

    finalists = choose_finalists(config, record)
    return Confirmation(
        naive=confirmed(config.naive),
        finalists=[
            (finalist, confirmed(finalist.method))
            for finalist in finalists
            if finalist.method.digest in grades.correct
        ],
    )
