"""Which methods earn further seeds, and what they are worth at least. Pure: a record in, a plan out.

One seed flatters: the best of many noisy scores is mostly lucky. So the best search trials are trained again
on other seeds, and so on the labels of other weak supervisors, by successive halving (Karnin et al. 2013):
`replicated` of them on a second seed, the better half of these on a third, and so on, never fewer than there
are finalists. Of methods alike, the same components in all slots whatever their numbers, no stage takes more
than its share, places / finalists: near-twins rise and fall together, and a lucky one would bring all others.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from statistics import fmean, median_high, median_low

from search.config.schema import RunConfig
from search.ledger.events import BaselinesReady, Purpose
from search.ledger.record import Record, TrialRecord
from search.policy.pruning import seed_variance
from trainers.lazy import special
from trainers.method import SLOTS, Method

CONFIDENCE = 0.9  # one-sided, of the lower bounds
OWN_PRIOR = 4  # those that the spread of all methods counts for beside a method's own


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A method of the search: its trial there, and its PGR on each seed that it completed, in their order."""

    trial: TrialRecord
    pgrs: tuple[float, ...]

    @property
    def kind(self) -> tuple[str, ...]:
        """What near-twins share."""
        return kind_of(self.trial.method)

    @property
    def search_pgr(self) -> float:
        """Mean PGR over its seeds."""
        return fmean(self.pgrs)


def kind_of(method: Method) -> tuple[str, ...]:
    """The component in every slot, without its numbers."""
    return tuple(getattr(method, slot).kind for slot in SLOTS)


def places(config: RunConfig) -> list[int]:
    """How many methods each replication seed is for."""
    seeds = len(config.replication_seeds())
    return [max(config.confirm.finalists, math.ceil(config.replicated / 2**i)) for i in range(seeds)]


def planned_replication(config: RunConfig, record: Record) -> list[tuple[TrialRecord, int]]:
    """What is to be replicated as far as it is known now: (trial of the search, seed), in a lasting order.

    A stage follows once all trials of the one before it have ended; what was planned then stays the beginning
    of every later plan. A method that failed on a seed gets no further one.
    """
    plan: list[tuple[TrialRecord, int]] = []
    ended = {(t.method.digest, t.seed) for t in record.of_purpose("replicate") if t.state is not None}
    everyone = standings(config, record)
    for stage, (count, seed) in enumerate(zip(places(config), config.replication_seeds(), strict=True), 1):
        known = [replace(one, pgrs=one.pgrs[:stage]) for one in everyone]
        ranked = [one for one in Bounds(config, known, record.baselines).ranked() if len(one.pgrs) == stage]
        chosen = unlike(ranked, count, max(1, round(count / config.confirm.finalists)))
        plan += [(one.trial, seed) for one in chosen]
        if not all((one.trial.method.digest, seed) in ended for one in chosen):
            break
    return plan


def standings(config: RunConfig, record: Record) -> list[Standing]:
    """Every method that completed its search trial, with its PGR up to the first seed it has none on."""
    known: dict[tuple[str, int], float] = {}
    trials: dict[str, TrialRecord] = {}
    for purpose in ("search", "replicate"):
        for pgr, trial in _scored(record, purpose):
            known.setdefault((trial.method.digest, trial.seed), pgr)
            if purpose == "search":
                trials.setdefault(trial.method.digest, trial)

    def pgrs(trial: TrialRecord) -> Iterator[float]:
        for seed in (trial.seed, *config.replication_seeds()):
            if (trial.method.digest, seed) not in known:
                return
            yield known[trial.method.digest, seed]

    return [Standing(trial=trial, pgrs=tuple(pgrs(trial))) for trial in trials.values()]


def _scored(record: Record, purpose: Purpose) -> Iterator[tuple[float, TrialRecord]]:
    for trial in record.of_purpose(purpose):
        if trial.final_pgr is not None:
            yield trial.final_pgr, trial


def eligible(config: RunConfig, record: Record) -> list[Standing]:
    """The methods that finalists are chosen from, highest lower bound first.

    Where methods are replicated, one that has completed fewer than two seeds is none, nor one that failed on
    a seed. Where there is no other, it is one that failed on a seed after it had completed two, and at last a
    method of a single seed, rather one that has not failed. Of near-twins those with the most seeds stand for
    all: what one of them met on a seed, the others would have.
    """
    ranked = Bounds(config, standings(config, record), record.baselines).ranked()
    failed = {t.method.digest for t in record.of_purpose("replicate") if t.state == "failed"}
    sound = [one for one in ranked if one.trial.method.digest not in failed]
    return _tested(sound) or _tested(ranked) or sound or ranked


def _tested(methods: Sequence[Standing]) -> list[Standing]:
    """Those of several seeds, and of each kind those with the most."""
    most: dict[tuple[str, ...], int] = defaultdict(int)
    for one in methods:
        most[one.kind] = max(most[one.kind], len(one.pgrs))
    return [one for one in methods if 1 < len(one.pgrs) == most[one.kind]]


def unlike(ranked: Sequence[Standing], count: int, share: int) -> list[Standing]:
    """The first `count` in their order, with at most `share` of a kind; fewer where there are no others."""
    taken: dict[tuple[str, ...], int] = defaultdict(int)
    chosen: list[Standing] = []
    for one in ranked:
        if len(chosen) < count and taken[one.kind] < share:
            taken[one.kind] += 1
            chosen.append(one)
    return chosen


class Bounds:
    """Lower confidence bounds on the PGR of methods over seeds, with the seed spread that they show together.

    Methods that did not meet the same seeds are compared after what most kinds of method lost or gained on a
    seed is taken off: that is the seed's doing, and its supervisor's. What is left of a method's PGRs varies
    around their mean with a variance estimated from all methods (search.spread says with what else), for
    each method moved towards what it shows itself (the moderated variance of Smyth 2004). So a collapse on
    one seed costs a method twice: its mean falls and its bound widens.
    """

    def __init__(self, config: RunConfig, methods: Sequence[Standing], floors: BaselinesReady | None) -> None:
        self._methods = methods
        self._config = config.search.pruning
        self._floors = floors

    def ranked(self) -> list[Standing]:
        """The methods, highest bound first; ties go to the earlier trial."""
        order = sorted(zip(self.lower, self._methods, strict=True), key=lambda pair: -pair[0])
        return [method for _, method in order]

    @cached_property
    def lower(self) -> list[float]:
        """The bound of every method."""
        return [self._lower(pgrs) for pgrs in self._levelled]

    def _lower(self, pgrs: Sequence[float]) -> float:
        free = OWN_PRIOR + len(pgrs) - 1
        variance = (OWN_PRIOR * self.variance + _squares(pgrs)) / free
        return fmean(pgrs) - _quantile(free) * math.sqrt(variance / len(pgrs))

    @cached_property
    def variance(self) -> float:
        """The variance of PGR between seeds of a method, over all methods."""
        squares = sum(_squares(pgrs) for pgrs in self._levelled)
        free = sum(len(pgrs) - 1 for pgrs in self._levelled)
        return seed_variance(self._config, self._floors, squares=squares, degrees_of_freedom=free)

    @cached_property
    def _levelled(self) -> list[list[float]]:
        levelled = [[one.pgrs[0]] for one in self._methods]
        for seed in range(1, max((len(one.pgrs) for one in self._methods), default=1)):
            at = [i for i, one in enumerate(self._methods) if len(one.pgrs) > seed]
            change = {i: self._methods[i].pgrs[seed] - fmean(levelled[i]) for i in at}
            by_kind: dict[tuple[str, ...], list[float]] = defaultdict(list)
            for i in at:
                by_kind[self._methods[i].kind].append(change[i])
            common = _common([_middle(changes) for changes in by_kind.values()])
            for i in at:
                levelled[i].append(self._methods[i].pgrs[seed] - common)
        return levelled


@cache
def _quantile(free: int) -> float:
    return float(special.stdtrit(free, CONFIDENCE))


def _common(changes: Sequence[float]) -> float:
    """What kinds of method have in common; nothing where there is one kind only."""
    return _middle(changes) if len(changes) > 1 else 0.0


def _middle(changes: Sequence[float]) -> float:
    """The median; of an even number of changes the middle one nearer to zero, or zero if between the two."""
    return max(0.0, median_low(changes)) + min(0.0, median_high(changes))


def _squares(pgrs: Sequence[float]) -> float:
    mean = fmean(pgrs)
    return sum((pgr - mean) ** 2 for pgr in pgrs)
