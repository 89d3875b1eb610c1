"""The confirmation: finalists and the naive baseline, on fresh seeds and sealed test splits.

The search's own test split, and those of hidden tasks, which nothing has read before. What a function takes
for a hidden task is None for the search's own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from search.config.schema import RunConfig
from search.config.tasks import HiddenTask, NamedTask
from search.engine.compared.naive import naive_pgrs, naive_search_pgr, search_gain
from search.engine.compared.transfer import transferred
from search.engine.replication import Bounds, at_most_per_kind, eligible, standings
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from search.scoring.collapses import Collapses, find_collapses, steady_variance
from search.scoring.grader import TestGrades
from search.scoring.pgr import (
    Bools,
    Estimate,
    SeedVariance,
    accuracy,
    accuracy_gain,
    difference,
    estimate,
    gains_by_supervisor,
    paired_seed_variance,
    pgr,
)
from search.scoring.sign_flip import SignFlip, sign_flip
from trainers.method import Method


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A method to confirm, its search trial, and its mean PGR over search and replication seeds.

    method: on the task it is confirmed on. search_gain: see `search.engine.compared.naive`.
    """

    trial: TrialRecord
    method: Method
    search_pgr: float
    search_gain: float | None = None


def choose_finalists(config: RunConfig, record: Record, hidden: HiddenTask | None = None) -> list[Finalist]:
    """The methods to confirm, highest lower bound on PGR over seeds first.

    No two have the same components in all slots, unless the config names them. The order is fixed before the
    test split is opened, so the first is the best without having been chosen on the split that reports it.
    The naive baseline is never a finalist: finalists are compared with it, and `beats_naive_p` says whether
    the best is better. On a hidden task they are the same, as they are there.
    """
    per_kind = config.confirm.finalists if config.methods else 1  # those of a config were asked for
    of_naive = naive_pgrs(config, record)
    chosen = at_most_per_kind(eligible(config, record), config.confirm.finalists, per_kind)
    return [
        Finalist(
            trial=one.trial,
            method=transferred(one.method, config, config.on(hidden)),
            search_pgr=one.search_pgr,
            search_gain=search_gain(config, one, of_naive),
        )
        for one in chosen
    ]


def planned_confirmation(
    config: RunConfig, record: Record, hidden: HiddenTask | None = None
) -> list[tuple[Method, int]]:
    """Every (method, seed) of the confirmation: the naive baseline, then the finalists that can run there.

    All can on the search's own task, since they ran, and where a hidden task offers as much.
    """
    methods = [finalist.method for finalist in choose_finalists(config, record, hidden)]
    if hidden is not None and not config.offers_as_much_on(hidden):
        abilities = config.on(hidden).abilities
        methods = [method for method in methods if method.refused(abilities) is None]
    return [
        (method, seed) for method in (config.on(hidden).naive, *methods) for seed in config.confirm_seeds()
    ]


def confirmation_trials(record: Record, hidden: HiddenTask | None = None) -> list[TrialRecord]:
    """The trials of the confirmation on a task, in the order of their first starts."""
    if hidden is None:
        return list(record.of_purpose("confirm"))
    return [trial for trial in record.of_purpose("hidden") if trial.task == hidden.name]


# Degrees of freedom of the campaign's seed variance in that of a method: few, since methods differ. Coverage
# and p values of other numbers, also where that variance is wrong: python -m benchmarks.calibration.small_p.
CAMPAIGN_DEGREES_OF_FREEDOM = 3
SEARCH_DEGREES_OF_FREEDOM = 4  # of search and replicates in the seed variance of the campaign


@dataclass(frozen=True, kw_only=True)
class SeedOutcome:
    """A method on the test split with one seed.

    gain: PGR minus that of naive on the same seed. It and pgr are None if the test split has no gap.
    """

    seed: int
    supervisor: int
    accuracy: float
    pgr: float | None
    gain: float | None


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """A method on the test split: accuracy, PGR, and its paired gain over the naive baseline.

    accuracy_gain: the gain in accuracy. pgr, gain, collapses: None if the test split has no gap. sign_flip:
    the exact test of the gain, None where there are many seeds. predictions: of each seed, packed; None
    unless the config asks for them.
    """

    method: Method
    accuracy: Estimate
    accuracy_gain: Estimate
    pgr: Estimate | None
    gain: Estimate | None
    sign_flip: SignFlip | None
    per_seed: tuple[SeedOutcome, ...]
    collapses: Collapses | None
    predictions: tuple[str, ...] | None = None

    @property
    def seeds(self) -> int:
        """The number of its seeds."""
        return len(self.per_seed)

    @property
    def beats_naive_p(self) -> float:
        """One-sided p value of the hypothesis that the method is no better than naive."""
        return (self.gain or self.accuracy_gain).p_positive


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The naive baseline and the finalists that completed on every seed, in their order of choice.

    missing: for each other finalist, its branch and why it is not among them. naive_search_pgr: of naive on
    the search split, None where it was not trained there.
    """

    naive: Confirmed
    finalists: Sequence[tuple[Finalist, Confirmed]]
    missing: Sequence[tuple[Finalist, str]] = ()
    naive_search_pgr: float | None = None


def sealed_predictions(
    config: RunConfig, record: Record, hidden: HiddenTask | None = None
) -> dict[str, list[str]]:
    """Test predictions of every method that completed on all fresh seeds, by the method's digest.

    Each value holds the packed predictions of each seed. Raises RuntimeError if the naive baseline, which
    finalists are compared with, or every finalist is missing; on a hidden task finalists may be missing.
    """
    trials, naive = confirmation_trials(record, hidden), config.on(hidden).naive
    completed: dict[str, dict[int, str]] = {}
    for trial in trials:
        if trial.state == "completed" and trial.last is not None:
            completed.setdefault(trial.method.digest, {})[trial.seed] = trial.last.predictions
    seeds = config.confirm_seeds()
    on_all_seeds = {
        digest: [by_seed[seed] for seed in seeds]
        for digest, by_seed in completed.items()
        if by_seed.keys() >= set(seeds)
    }
    if naive.digest in on_all_seeds and (hidden or len(on_all_seeds) > 1):
        return on_all_seeds
    failed = [trial for trial in trials if trial.state == "failed"]
    if not failed:
        raise RuntimeError("no method of the search completed, so there is no finalist; see the ledger")
    naive_completed = naive.digest in on_all_seeds
    missing = "no finalist completed" if naive_completed else "the naive baseline did not complete"
    raise RuntimeError(
        f"{missing} on every confirmation seed; the last failure: {failed[-1].cause}. "
        "Fix the cause, then resume: failed trials are tried again"
    )


def confirm(
    config: RunConfig,
    record: Record,
    grades: TestGrades,
    task: NamedTask | None = None,
    predictions: Mapping[str, Sequence[str]] | None = None,
) -> Confirmation:
    """The statistics of the confirmation on a task. grades: of its test predictions.

    task: None for the only one of the search. predictions: those graded, if they are of one of several
    searched tasks. No gap on the test split is an outcome: accuracies, and no PGR.
    """
    hidden = task if isinstance(task, HiddenTask) else None
    kept = (predictions or sealed_predictions(config, record, hidden)) if config.confirm.predictions else None
    statistics = _Statistics(config, record, grades, kept, hidden)
    finalists = choose_finalists(config, record, hidden)
    graded = [finalist for finalist in finalists if finalist.method.digest in grades.correct]
    return Confirmation(
        naive=statistics.of(config.on(hidden).naive),
        finalists=[(finalist, statistics.of(finalist.method)) for finalist in graded],
        missing=[
            (finalist, _why_missing(finalist.method, config, record, hidden))
            for finalist in finalists
            if finalist not in graded
        ],
        naive_search_pgr=naive_search_pgr(config, record),
    )


def _why_missing(method: Method, config: RunConfig, record: Record, hidden: HiddenTask | None) -> str:
    there = config.on(hidden)
    if reason := method.refused(there.abilities):
        return reason
    trials = confirmation_trials(record, hidden)
    failed = [trial for trial in trials if trial.method == method and trial.state == "failed"]
    return failed[-1].cause or "it failed" if failed else "it did not complete on every seed"


class _Statistics:
    """The statistics of every confirmed method, with what the campaign knows of the variance of seeds."""

    def __init__(
        self,
        config: RunConfig,
        record: Record,
        grades: TestGrades,
        predictions: Mapping[str, Sequence[str]] | None,
        hidden: HiddenTask | None,
    ) -> None:
        self._seeds = config.confirm_seeds()
        self._supervisors = np.array([config.supervisor(seed) for seed in self._seeds])
        self._grades = grades
        self._naive = grades.correct[config.on(hidden).naive.digest]
        self._predictions = predictions
        self._has_gap = grades.baselines.ceiling_acc > grades.baselines.weak_acc
        self._searched = SeedVariance(value=0.0, free=0)
        if hidden is None:  # on another task seeds differ by another variance
            bounds = Bounds(config, standings(config, record), record.baselines)
            # Seeds of several tasks are independent, so on one they differ more than in the mean over all. A
            # geometric score varies at least as much as a mean, so by it this errs to the safe side.
            one_task = len(config.searched) * bounds.variance
            self._searched = SeedVariance(value=one_task, free=SEARCH_DEGREES_OF_FREEDOM)

    def of(self, method: Method) -> Confirmed:
        """The statistics of a method."""
        correct, baselines, taught = (
            self._grades.correct[method.digest],
            self._grades.baselines,
            self._supervisors,
        )
        gap, naive = self._has_gap, self._naive
        return Confirmed(
            method=method,
            accuracy=accuracy(correct, taught),
            accuracy_gain=accuracy_gain(correct, naive, taught),
            pgr=estimate(correct, taught, baselines, self._prior) if gap else None,
            gain=difference(correct, naive, taught, baselines, self._prior) if gap else None,
            sign_flip=sign_flip(gains_by_supervisor(correct, naive, taught)),
            per_seed=tuple(self._per_seed(correct)),
            collapses=self._collapses(correct, self._seed_variance) if gap else None,
            predictions=tuple(self._predictions[method.digest]) if self._predictions else None,
        )

    @cached_property
    def _prior(self) -> SeedVariance:
        others = self._searched.free or len(self._grades.correct) > 2  # else its own is all that is known
        return SeedVariance(value=self._seed_variance, free=CAMPAIGN_DEGREES_OF_FREEDOM if others else 0)

    @cached_property
    def _seed_variance(self) -> float:
        """The seed variance of the campaign: of search and replicates, and of finalists paired with naive.

        Methods that collapsed are left out, as in Bounds. Differences between methods on the seeds of the
        confirmation say more than replicates, whose best were chosen, so those count little.
        """
        return steady_variance(
            [correct for correct in self._grades.correct.values() if correct is not self._naive],
            self._pooled,
            lambda correct, variance: any(
                self._collapses(one, variance).count for one in (correct, self._naive)
            ),
        )

    def _pooled(self, methods: Sequence[Bools]) -> float:
        found = [paired_seed_variance(correct, self._naive, self._grades.baselines) for correct in methods]
        free = self._searched.free + sum(one.free for one in found)
        squares = max(0.0, sum(one.value * one.free for one in found))
        return (self._searched.free * self._searched.value + squares) / free if free else 0.0

    def _pgrs(self, correct: Bools) -> list[float]:
        baselines = self._grades.baselines
        return [pgr(float(row.mean()), baselines.weak_acc, baselines.ceiling_acc) for row in correct]

    def _collapses(self, correct: Bools, variance: float) -> Collapses:
        return find_collapses(self._pgrs(correct), variance)

    def _per_seed(self, correct: Bools) -> Iterator[SeedOutcome]:
        pgrs, of_naive = (self._pgrs(rows) if self._has_gap else None for rows in (correct, self._naive))
        for i, seed in enumerate(self._seeds):
            yield SeedOutcome(
                seed=seed,
                supervisor=int(self._supervisors[i]),
                accuracy=float(correct[i].mean()),
                pgr=pgrs[i] if pgrs else None,
                gain=pgrs[i] - of_naive[i] if pgrs and of_naive else None,
            )
