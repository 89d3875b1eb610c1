"""What else one would search with: Optuna's samplers and pruners, Ray's ASHA, and an expert's use of them.

All draw from the same rows, on the same two workers, with the same supervisor, and are judged alike. The
resource of a rung is its share of the training in ninths.
"""

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, TPESampler
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from benchmarks.table.campaign import WORKERS
from benchmarks.table.pool import RowPool
from benchmarks.table.world import Point, World

RESOURCE = 9  # of a whole training
ETA = 3
FINALISTS = 3  # that an expert trains on further seeds


class Searcher(Protocol):
    """What decides which row is trained, and how far."""

    def ask(self) -> int:
        """A row to train."""

    def tell(self, row: int, resource: int, pgr: float | None) -> bool:
        """Take in a score, None for a trial that failed; whether it trains on."""


class Random:
    """Random rows, trained to the end."""

    def __init__(self, pool: RowPool, seed: int) -> None:
        self._pool = pool
        self._rng = np.random.default_rng(seed)

    def ask(self) -> int:
        """See Searcher."""
        return self._pool.random(self._rng)

    def tell(self, row: int, resource: int, pgr: float | None) -> bool:
        """See Searcher."""
        return pgr is not None and resource < RESOURCE


class Asha(Random):
    """Random rows, stopped by Ray Tune's AsyncHyperBandScheduler, called as a Tuner calls it."""

    def __init__(self, pool: RowPool, seed: int) -> None:
        super().__init__(pool, seed)
        self._scheduler: Any = AsyncHyperBandScheduler(
            metric="pgr", mode="max", max_t=RESOURCE, grace_period=1, reduction_factor=ETA
        )
        self._trials: dict[int, SimpleNamespace] = {}

    def ask(self) -> int:
        """See Searcher."""
        row = super().ask()
        self._trials[row] = SimpleNamespace(trial_id=f"t{row}")
        self._scheduler.on_trial_add(None, self._trials[row])
        return row

    def tell(self, row: int, resource: int, pgr: float | None) -> bool:
        """See Searcher."""
        if pgr is None:
            return False
        result = {"training_iteration": resource, "pgr": pgr}
        if resource == RESOURCE:
            self._scheduler.on_trial_complete(None, self._trials[row], result)
            return False
        return bool(self._scheduler.on_trial_result(None, self._trials[row], result) != TrialScheduler.STOP)


class Optuna:
    """Optuna's ask and tell: a pruned trial is told as pruned, one that failed as failed."""

    def __init__(self, pool: RowPool, sampler: BaseSampler, pruner: BasePruner) -> None:
        self._pool = pool
        self._study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
        self._trials: dict[int, optuna.Trial] = {}

    def ask(self) -> int:
        """See Searcher."""
        trial = self._study.ask()
        row = self._pool.suggested(trial)
        self._trials[row] = trial
        return row

    def tell(self, row: int, resource: int, pgr: float | None) -> bool:
        """See Searcher."""
        trial, state = self._trials[row], optuna.trial.TrialState
        if pgr is None:
            self._study.tell(trial, state=state.FAIL)
            return False
        trial.report(pgr, resource)
        if resource == RESOURCE:
            self._study.tell(trial, pgr)
            return False
        if trial.should_prune():
            self._study.tell(trial, state=state.PRUNED)
            return False
        return True


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A score that came in after so many seconds; last: of a trial that was not trained on."""

    at: float
    point: Point
    pgr: float
    last: bool


def searched(world: World, searcher: Searcher, pool: RowPool, until_s: float) -> list[Heard]:
    """All scores that come in, in virtual time."""
    order, now, idle = itertools.count(), 0.0, WORKERS
    running: list[tuple[float, int, Point]] = []
    heard: list[Heard] = []

    def begin(row: int, after: int) -> None:
        seconds = world.task.seconds[row, world.order[0]]
        rung = next(rung for rung in range(after + 1, len(seconds)) if np.isfinite(seconds[rung]))
        heapq.heappush(running, (now + float(seconds[rung]), next(order), Point(row, rung)))

    while True:
        while idle and not pool.empty:
            begin(searcher.ask(), -1)
            idle -= 1
        if not running or running[0][0] > until_s:
            return heard
        now, _, point = heapq.heappop(running)
        resource = round(world.table.settings.rungs[point.rung] * RESOURCE)
        failed = world.task.failed[point.row, world.order[0]]
        pgr = None if failed else world.search_pgr(point, 0)
        goes_on = searcher.tell(point.row, resource, pgr)
        if pgr is not None:
            heard.append(Heard(at=now, point=point, pgr=pgr, last=not goes_on))
        if goes_on:
            begin(point.row, point.rung)
        else:
            idle += 1


Winner = Callable[[World, Sequence[Heard], float], Point | None]


def best_completed(world: World, heard: Sequence[Heard], deadline_s: float) -> Point | None:
    """The highest score of a training that ended in time; without any, the highest of all."""
    scores = [one for one in heard if one.at <= deadline_s]
    end = len(world.table.settings.rungs) - 1
    completed = [one for one in scores if one.point.rung == end]
    best = max(completed or scores, key=lambda one: one.pgr, default=None)
    return best.point if best else None


def replicated(world: World, heard: Sequence[Heard], deadline_s: float) -> Point | None:
    """The best of the three best, wherever they stopped, on all supervisors of the search.

    The search ends as late as leaves time for these further trainings.
    """
    for end in range(len(heard), 0, -1):
        stopped = [one for one in heard[:end] if one.last]
        top = sorted(stopped, key=lambda one: -one.pgr)[:FINALISTS]
        if top and heard[end - 1].at + _further_s(world, top) / WORKERS <= deadline_s:
            return max(top, key=lambda one: _mean_pgr(world, one.point)).point
    return best_completed(world, heard, deadline_s)


def _further_s(world: World, top: Sequence[Heard]) -> float:
    columns = list(world.order[1 : world.supervisors])
    return sum(
        float(np.nansum(world.task.seconds[one.point.row, columns, : one.point.rung + 1])) for one in top
    )


def _mean_pgr(world: World, point: Point) -> float:
    """Over the supervisors of the search; one that made a training fail counts as lowest."""
    if world.task.failed[point.row, list(world.order[: world.supervisors])].any():
        return -np.inf
    return float(np.mean([world.search_pgr(point, one) for one in range(world.supervisors)]))


def _tpe(seed: int) -> BaseSampler:
    return TPESampler(seed=seed)


def _expert(seed: int) -> BaseSampler:
    return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def _sha() -> BasePruner:
    return SuccessiveHalvingPruner(min_resource=1, reduction_factor=ETA)


@dataclass(frozen=True, kw_only=True)
class Opponent:
    """make: a searcher of a pool, with a seed. winner: how it names one."""

    make: Callable[[RowPool, int], Searcher]
    winner: Winner = best_completed

    def winners(self, world: World, seed: int, deadlines_s: Sequence[float]) -> list[Point | None]:
        """The winner at each deadline."""
        pool = RowPool(world)
        heard = searched(world, self.make(pool, seed), pool, max(deadlines_s))
        return [self.winner(world, heard, deadline_s) for deadline_s in deadlines_s]


OPPONENTS: dict[str, Opponent] = {
    "random": Opponent(make=Random),
    "tpe": Opponent(make=lambda pool, seed: Optuna(pool, _tpe(seed), NopPruner())),
    "sha": Opponent(make=lambda pool, seed: Optuna(pool, _tpe(seed), _sha())),
    "hyperband": Opponent(
        make=lambda pool, seed: Optuna(
            pool,
            _tpe(seed),
            HyperbandPruner(min_resource=1, max_resource=RESOURCE, reduction_factor=ETA),
        )
    ),
    "median": Opponent(make=lambda pool, seed: Optuna(pool, _tpe(seed), MedianPruner())),
    "asha": Opponent(make=Asha),
    "random-expert": Opponent(make=Random, winner=replicated),
    "asha-expert": Opponent(make=Asha, winner=replicated),
    "expert": Opponent(make=lambda pool, seed: Optuna(pool, _expert(seed), _sha()), winner=replicated),
}
