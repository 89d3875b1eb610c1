"""Ours on recorded curves: judge, promotion and paused trials of a search of one branch, as a run sets them.

With a single branch these alone decide, because allocation divides trials between branches. New rows are
drawn at random, because a table offers no neighbours of a good row. The last coordinate of a point is the
share of the training.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks.curves.data import Curves, Pool, units
from search.policy.beliefs import stopped_at
from search.policy.observations import Scoreboard
from search.policy.paused_trials import PausedTrial, PausedTrials
from search.policy.promotion import Candidates, Promotion, PromotionConfig
from search.policy.pruning import Judge, Judgement, PruningConfig

SHARES = PruningConfig().rungs
ALL = "all"  # the one branch
EXACT = 0.0  # the variance between seeds: a recorded loss has no error


def evaluations_at(shares: Sequence[float], evaluations: int) -> list[int]:
    """The evaluations nearest to these shares of a training, each once: 6, 17, 51 of 51 at 1/9, 1/3, 1."""
    return sorted({max(1, round(share * evaluations)) for share in shares})


class Ours:
    """Pauses every trial at each rung, and goes on with what promotion chooses."""

    def __init__(self, curves: Curves, seed: int) -> None:
        self._config = PromotionConfig()
        self._pool = Pool(units(curves.hp))
        self._rungs = evaluations_at(SHARES, curves.evaluations)
        self._judge = Judge(PruningConfig(), gap=1.0)
        self._shares = [rung / curves.evaluations for rung in self._rungs]
        self._points = np.column_stack([self._pool.points, np.ones(curves.rows)])
        self._rule = Promotion(self._config, rungs=self._shares, column=-1)
        self._rng = np.random.default_rng(seed)
        self._scores = Scoreboard()
        self._paused = PausedTrials(self._config.waiting)

    def assign(self) -> int | None:
        """A row paused at a rung, or a new row."""
        waiting, new = self._offered(), self._new()
        if not waiting and not new:
            return None
        place = self._rule.choose(self._scores, self._candidates(waiting, new), self._rng)
        if place < len(waiting):
            self._paused.remove(waiting[place].trial)
            return int(waiting[place].trial)
        row = new[place - len(waiting)]
        self._pool.take(row)
        return row

    def _candidates(self, waiting: Sequence[PausedTrial], new: Sequence[int]) -> Candidates:
        rows = [int(trial.trial) for trial in waiting] + list(new)
        trained = np.array([self._rungs[trial.place] for trial in waiting] + [0] * len(new))
        costs = np.array(self._rungs) - trained[:, None]
        return Candidates(points=self._points[rows], costs=np.where(costs > 0, costs, np.inf))

    def report(self, row: int, evaluation: int, loss: float) -> bool:
        """Go on to the next rung, and stop or wait there; a diverged trial never goes on."""
        diverged = bool(np.isnan(loss))
        if not diverged and evaluation not in self._rungs:
            return True
        rung = int(np.searchsorted(self._rungs, evaluation))
        point = stopped_at(self._points[[row]], -1, self._shares[rung])[0]
        if diverged:
            self._scores.add(point, rung, loss)
            return False
        value, judgement = self._seen(row, evaluation, loss)
        self._scores.add(point, rung, value)
        if rung < len(self._rungs) - 1 and judgement.decision == "pause":
            self._paused.add(
                PausedTrial(trial=str(row), point=self._points[row], place=rung, value=value, branch=ALL)
            )
            if surplus := self._paused.surplus():
                self._paused.remove(surplus.trial)
        return False

    def _seen(self, row: int, evaluation: int, loss: float) -> tuple[float, Judgement]:
        """The score at a rung (higher is better), and the judge's finding."""
        return -loss, self._judge.judge(ALL, self._rungs.index(evaluation), np.array([-loss]), EXACT)

    def _offered(self) -> list[PausedTrial]:
        return list(self._paused)

    def _new(self) -> list[int]:
        left = np.flatnonzero(self._pool.left)
        drawn = self._rng.choice(left, min(self._config.draws, len(left)), replace=False)
        return [int(row) for row in drawn]
