"""Promotion on recorded curves: benchmarks.promotion decides which trial a free worker trains."""

from dataclasses import dataclass

import numpy as np

from benchmarks.curves_data import Curves, Pool, units
from benchmarks.promotion import Candidates, Promotion, PromotionConfig, Scores

FIRST_RUNG, ETA = 4, 3  # a few good readings teach the surrogate more than many poor ones
DRAWN = 64  # new rows that the rule is offered each time, as branches would be asked for draws
OFFERED = 16  # of the trials that wait at one rung, so many of the best are offered


def rungs_of(evaluations: int, first: int = FIRST_RUNG, eta: int = ETA) -> list[int]:
    """First, first * eta, ... and the last evaluation: 4, 12, 36, 51 of 51."""
    rungs = [first]
    while rungs[-1] * eta < evaluations:
        rungs.append(rungs[-1] * eta)
    return [*rungs, evaluations] if rungs[-1] < evaluations else [evaluations]


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    rung: int
    loss: float


class ByPromotion:
    """Pauses every trial at each rung; exact scores, so errors of zero."""

    def __init__(self, curves: Curves, seed: int) -> None:
        self._pool = Pool(units(curves.hp))
        self._rungs = rungs_of(curves.evaluations)
        self._costs = np.diff([0, *self._rungs])
        self._rule = Promotion(PromotionConfig(), rungs=len(self._rungs))
        self._draws = np.random.default_rng(seed)
        self._waiting: dict[int, _Waiting] = {}
        self._seen: list[tuple[int, int, float]] = []

    def assign(self) -> int | None:
        """A row that waits at a rung, or a new one."""
        rows = [*self._best_waiting(), *self._new()]
        if not rows:
            return None
        rungs = np.array([self._waiting[row].rung + 1 if row in self._waiting else 0 for row in rows])
        candidates = Candidates(points=self._pool.points[rows], rungs=rungs, costs=self._costs[rungs])
        row = rows[self._rule.choose(self._scores(), candidates, seed=int(self._draws.integers(2**31)))]
        if self._waiting.pop(row, None) is None:
            self._pool.take(row)
        return row

    def report(self, row: int, evaluation: int, loss: float) -> bool:
        """Go on to the next rung, and wait there; a diverged trial never goes on."""
        diverged = bool(np.isnan(loss))
        if not diverged and evaluation not in self._rungs:
            return True
        rung = int(np.searchsorted(self._rungs, evaluation))
        self._seen.append((row, rung, -loss))
        if not diverged and rung < len(self._rungs) - 1:
            self._waiting[row] = _Waiting(rung=rung, loss=loss)
        return False

    def _best_waiting(self) -> list[int]:
        rows: list[int] = []
        for rung in range(len(self._rungs)):
            here = [row for row, trial in self._waiting.items() if trial.rung == rung]
            rows += sorted(here, key=lambda row: self._waiting[row].loss)[:OFFERED]
        return rows

    def _new(self) -> list[int]:
        left = np.flatnonzero(self._pool.left)
        drawn = self._draws.choice(left, min(DRAWN, len(left)), replace=False)
        return [int(row) for row in drawn]

    def _scores(self) -> Scores:
        seen = np.array(self._seen, dtype=np.float64).reshape(-1, 3)
        return Scores(
            points=self._pool.points[seen[:, 0].astype(np.int64)],
            rungs=seen[:, 1].astype(np.int64),
            values=seen[:, 2],
            errors=np.zeros(len(seen)),
        )
