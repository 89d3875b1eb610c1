"""Which methods get further seeds, and a lower bound on the PGR of each. Pure: a record in, a plan out.

The best of many noisy scores is mostly lucky. So the best search trials are trained again on other seeds, and
with them on the labels of other weak supervisors, by successive halving (Karnin et al. 2013): as many as a
stage can pay for get a second seed, a stage of half the price a third, and so on, never fewer than there are
finalists. Prices are seconds of training, so that cheap methods may be many; or each is 1, where the config
says how many. Methods of a kind have the same components in all slots and differ in numbers only. They do
well or badly together, so a kind takes at most a finalist's share of a stage: otherwise a lucky method brings
all its near-twins along.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from statistics import fmean, median_high, median_low

from search.config.schema import RunConfig
from search.ledger.events import BaselinesReady, Purpose
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from search.policy.pruning import seed_variance
from search.scoring.collapses import find_collapses, steady_variance
from trainers.component import Component
from trainers.components.formulas.formula import Formula
from trainers.lazy import special
from trainers.method import SLOTS, Method

CONFIDENCE = 0.9  # one-sided, of the lower bounds
POOLED_DEGREES_OF_FREEDOM = 4  # given to the pooled variance in the variance of a single method


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A method, its search trial, and its PGR on each seed it completed, in the order of the seeds.

    method: that of the trial, stopped at its best rung.
    """

    trial: TrialRecord
    method: Method
    pgrs: tuple[float, ...]

    @property
    def kind(self) -> tuple[str, ...]:
        """See `kind_of`."""
        return kind_of(self.method)

    @property
    def search_pgr(self) -> float:
        """Mean PGR over its seeds."""
        return fmean(self.pgrs)


def kind_of(method: Method) -> tuple[str, ...]:
    """The component in every slot, without its numbers: two formulas are two kinds."""
    return tuple(_kind(getattr(method, slot)) for slot in SLOTS)


def _kind(component: Component) -> str:
    return component.simplest.expression if isinstance(component, Formula) else component.kind


def stage_budgets(config: RunConfig, record: Record) -> list[float]:
    """What may be spent on each replication seed: methods if the config counts them, otherwise seconds.

    The seconds of all stages are `replication.effort` of those that the search took.
    """
    stages = len(config.replication_seeds())
    if (methods := config.replication.methods) is not None:
        return [max(config.confirm.finalists, math.ceil(methods / 2**i)) for i in range(stages)]
    seconds = config.replication.effort * record.train_s("search")
    return [seconds / 2**i / sum(0.5**j for j in range(stages)) for i in range(stages)]


def planned_replication(config: RunConfig, record: Record) -> list[tuple[Standing, int]]:
    """The replicates known so far, as (method, seed). Later plans begin with the same replicates.

    A stage is planned once all trials of the stage before have ended. A method that failed on a seed gets no
    further seeds.
    """
    plan: list[tuple[Standing, int]] = []
    ended = ended_replicates(record)
    everyone = standings(config, record)
    for stage, (budget, seed) in enumerate(
        zip(stage_budgets(config, record), config.replication_seeds(), strict=True), 1
    ):
        known = [replace(method, pgrs=method.pgrs[:stage]) for method in everyone]
        ranked = Bounds(config, known, record.baselines).ranked()
        on_all_seeds = [method for method in ranked if len(method.pgrs) == stage]
        chosen = _affordable(config, on_all_seeds, budget)
        plan += [(standing, seed) for standing in chosen]
        if not all((standing.method.digest, seed) in ended for standing in chosen):
            break
    return plan


def ended_replicates(record: Record) -> set[tuple[str, int]]:
    """The digest of the method and the seed of every replicate that has ended."""
    return {(t.method.digest, t.seed) for t in record.of_purpose("replicate") if t.state is not None}


def _affordable(config: RunConfig, ranked: Sequence[Standing], budget: float) -> list[Standing]:
    """The first methods that a stage can pay for, at least as many as there are finalists.

    All of them where the config names the methods. One of a kind may cost more than the kind's share. A
    method that is too dear is skipped for cheaper ones after it.
    """
    if config.methods:
        return list(ranked)
    finalists, counts = config.confirm.finalists, config.replication.methods is not None
    spent, of_kind = 0.0, defaultdict[tuple[str, ...], float](float)
    chosen: list[Standing] = []
    for standing in ranked:
        cost = 1.0 if counts else standing.trial.best_s
        first = not of_kind[standing.kind]
        if not first and of_kind[standing.kind] + cost > budget / finalists:
            continue
        if spent + cost <= budget or len(chosen) < finalists:
            chosen.append(standing)
            spent += cost
            of_kind[standing.kind] += cost
    return chosen


def standings(config: RunConfig, record: Record) -> list[Standing]:
    """The method of every search trial, stopped at its best rung, with its PGRs up to the first missing seed.

    One method a trial: the others that it passed on its way differ in where they stop alone.
    """
    known: dict[tuple[str, int], float] = {}
    searched: dict[str, tuple[TrialRecord, Method]] = {}
    for purpose in ("search", "replicate"):
        for trial, method, pgr in _scored(record, purpose):
            known.setdefault((method.digest, trial.seed), pgr)
            if purpose == "search":
                searched.setdefault(method.digest, (trial, method))

    def pgrs(trial: TrialRecord, method: Method) -> Iterator[float]:
        for seed in (trial.seed, *config.replication_seeds()):
            if (method.digest, seed) not in known:
                return
            yield known[method.digest, seed]

    return [
        Standing(trial=trial, method=method, pgrs=tuple(pgrs(trial, method)))
        for trial, method in searched.values()
    ]


def _scored(record: Record, purpose: Purpose) -> Iterator[tuple[TrialRecord, Method, float]]:
    for trial in record.of_purpose(purpose):
        if trial.best_pgr is not None:
            yield trial, trial.best_method, trial.best_pgr


def eligible(config: RunConfig, record: Record) -> list[Standing]:
    """The methods that finalists are chosen from, in the order of `Bounds.ranked`.

    A method needs two completed seeds and no failed one. If there is no such method: two completed seeds,
    failed or not. If there is none either: one completed seed and no failed one, and at last any method. Of a
    kind with replicates, only the methods with the most seeds count: the others would have met the same on
    those seeds.
    """
    ranked = Bounds(config, standings(config, record), record.baselines).ranked()
    replicates = record.of_purpose("replicate")
    failed = {trial.method.digest for trial in replicates if trial.state == "failed" and trial.judged}
    not_failed = [standing for standing in ranked if standing.method.digest not in failed]
    return _most_replicated(not_failed) or _most_replicated(ranked) or not_failed or ranked


def _most_replicated(methods: Sequence[Standing]) -> list[Standing]:
    """The methods with several seeds and, within a kind, the most seeds."""
    most: dict[tuple[str, ...], int] = defaultdict(int)
    for method in methods:
        most[method.kind] = max(most[method.kind], len(method.pgrs))
    return [method for method in methods if 1 < len(method.pgrs) == most[method.kind]]


def at_most_per_kind(ranked: Sequence[Standing], count: int, per_kind: int) -> list[Standing]:
    """The first `count` methods, skipping those beyond the first `per_kind` of a kind."""
    taken: dict[tuple[str, ...], int] = defaultdict(int)
    chosen: list[Standing] = []
    for method in ranked:
        if len(chosen) < count and taken[method.kind] < per_kind:
            taken[method.kind] += 1
            chosen.append(method)
    return chosen


class Bounds:
    """Lower confidence bounds on the PGR of methods over seeds, with a pooled seed variance.

    The effect of a seed and its supervisor, which most kinds of method share, is subtracted first, so methods
    on different seeds compare. The rest varies around a method's mean with a variance pooled over all methods
    (search.policy.pruning.seed_variance) and moved towards the method's own (the moderated variance of Smyth
    2004). Methods that collapsed on a seed (search.scoring.collapses) are left out of the pool, since
    their variance says nothing about the others.
    """

    def __init__(self, config: RunConfig, methods: Sequence[Standing], floors: BaselinesReady | None) -> None:
        self._methods = methods
        self._config = config.search.pruning
        self._floors = floors

    def ranked(self) -> list[Standing]:
        """The methods by their bounds, the highest first; ties go to the earlier trial.

        A method of whose kind others have collapsed is expected to lose what they lost on average: methods of
        a kind share what makes them collapse, and a few clean seeds of one say little. What its own collapses
        cost is in its bound.
        """
        expected = [lower - loss for lower, loss in zip(self.lower, self._losses, strict=True)]
        order = sorted(range(len(self._methods)), key=lambda i: -expected[i])
        return [self._methods[i] for i in order]

    @property
    def _losses(self) -> list[float]:
        """What each method is expected to lose as others of its kind did; 0 for one that collapsed itself."""
        falls: dict[tuple[str, ...], list[float]] = defaultdict(list)
        collapsed = []
        for method, pgrs in zip(self._methods, self._adjusted, strict=True):
            flags = _collapsed_on(pgrs, self.variance)
            collapsed.append(any(flags))
            falls[method.kind] += [
                max(pgrs) - pgr if flag else 0.0 for pgr, flag in zip(pgrs, flags, strict=True)
            ]
        return [
            0.0 if own else fmean(falls[method.kind])
            for method, own in zip(self._methods, collapsed, strict=True)
        ]

    @cached_property
    def lower(self) -> list[float]:
        """The bound of every method, in the order of `methods`."""
        return [self._lower(pgrs) for pgrs in self._adjusted]

    @cached_property
    def means(self) -> list[float]:
        """The mean PGR of every method over its seeds, without what a seed does to all of them."""
        return [fmean(pgrs) for pgrs in self._adjusted]

    def _lower(self, pgrs: Sequence[float]) -> float:
        degrees_of_freedom = POOLED_DEGREES_OF_FREEDOM + len(pgrs) - 1
        squares = POOLED_DEGREES_OF_FREEDOM * self.variance + _sum_of_squares(pgrs)
        error = math.sqrt(squares / degrees_of_freedom / len(pgrs))
        return fmean(pgrs) - _student_quantile(degrees_of_freedom) * error

    @cached_property
    def variance(self) -> float:
        """The variance of PGR between seeds of a method, pooled over the methods that did not collapse."""
        return steady_variance(
            self._adjusted, self._pooled, lambda pgrs, variance: any(_collapsed_on(pgrs, variance))
        )

    def _pooled(self, methods: Sequence[Sequence[float]]) -> float:
        return seed_variance(
            self._config,
            self._floors,
            squares=sum(_sum_of_squares(pgrs) for pgrs in methods),
            degrees_of_freedom=sum(len(pgrs) - 1 for pgrs in methods),
        )

    @cached_property
    def _adjusted(self) -> list[list[float]]:
        """The PGRs of every method without the changes from seed to seed that kinds of method share."""
        adjusted = [[method.pgrs[0]] for method in self._methods]
        for seed in range(1, max((len(method.pgrs) for method in self._methods), default=1)):
            trained = [i for i, method in enumerate(self._methods) if len(method.pgrs) > seed]
            by_kind: dict[tuple[str, ...], list[float]] = defaultdict(list)
            for i in trained:
                by_kind[self._methods[i].kind].append(self._methods[i].pgrs[seed] - fmean(adjusted[i]))
            shared = _shared_change([_cautious_median(changes) for changes in by_kind.values()])
            for i in trained:
                adjusted[i].append(self._methods[i].pgrs[seed] - shared)
        return adjusted


def _collapsed_on(pgrs: Sequence[float], variance: float) -> tuple[bool, ...]:
    """On which of its seeds a method collapsed, never on the first, on which it was chosen.

    Of two seeds that differ much, the further one is then either a collapse or better than was expected, as
    the answers of a method that undoes the bias of a supervisor are.
    """
    return False, *find_collapses(pgrs, variance).flags[1:]


@cache
def _student_quantile(degrees_of_freedom: int) -> float:
    return float(special.stdtrit(degrees_of_freedom, CONFIDENCE))


def _shared_change(changes: Sequence[float]) -> float:
    """The change that kinds of method share, given that of each kind; 0 if there is only one kind."""
    return _cautious_median(changes) if len(changes) > 1 else 0.0


def _cautious_median(changes: Sequence[float]) -> float:
    """The median; for an even number the middle value nearer to 0, or 0 if the two differ in sign."""
    return max(0.0, median_low(changes)) + min(0.0, median_high(changes))


def _sum_of_squares(pgrs: Sequence[float]) -> float:
    mean = fmean(pgrs)
    return sum((pgr - mean) ** 2 for pgr in pgrs)
