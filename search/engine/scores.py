"""What trials scored at rungs, for the surrogate: on each task as it is, and over the tasks so far."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from search.ledger.earlier import EarlierTask
from search.ledger.events import Reached
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from search.policy.encoding import encode
from search.policy.ladder import Places
from search.policy.observations import Observations, Scoreboard, normal_scores
from search.scoring.objective import Objective, additive, task_weights
from search.scoring.pgr import Reals
from trainers.method import Method


class TrialScores:
    """Adds the scores of search trials to a scoreboard."""

    def __init__(
        self, board: Scoreboard, record: Record, places: Places, codes: Sequence[Reals], objective: Objective
    ) -> None:
        """record: has the baselines of all tasks before the first score. codes: of the tasks of places."""
        self._board = board
        self._record = record
        self._places = places
        self._codes = codes
        self._objective: Objective = objective

    def add(self, trial: TrialRecord, reached: Reached, task: str, *, first: bool) -> float:
        """Add a score; returns what to compare the trial by with others at its place.

        task: of several searched tasks the one it is of. first: whether it is the trial's first on any.
        """
        assert reached.pgr is not None
        value = self._part(reached.pgr, task) if task else reached.pgr
        point, rung = self._point(trial, reached.share, task), self._places.rungs.index(reached.share)
        self._board.add(point, rung, value, self._places.index(task), first=first)
        return self._over_tasks(trial, reached.share) if task else value

    def add_failure(self, trial: TrialRecord) -> None:
        """Lower the surrogate's predictions for methods like one that failed where it was last sent."""
        point, rung = self._point(trial, trial.due, trial.due_on), self._places.rungs.index(trial.due)
        self._board.add(point, rung, np.nan, self._places.index(trial.due_on))

    def _part(self, pgr: float, task: str) -> float:
        return additive(self._weights[task] * pgr, self._objective)

    @cached_property
    def _weights(self) -> dict[str, float]:
        assert self._record.baselines is not None
        return task_weights({one.name: one.gap for one in self._record.baselines.tasks}, self._objective)

    def _point(self, trial: TrialRecord, share: float, task: str) -> Reals:
        return coded(trial.method, share, self._codes[self._places.index(task)])

    def _over_tasks(self, trial: TrialRecord, share: float) -> float:
        """The mean at a rung over the tasks that a trial has been on so far.

        Less what is due to each task, since trials have begun with different ones.
        """
        effects = self._board.effects
        return float(
            np.mean(
                [
                    self._part(reached.pgr or 0.0, task) - effects[self._places.index(task)]
                    for task, reached in trial.reached_on(share).items()
                ]
            )
        )


def coded(method: Method, share: float, code: Reals) -> Reals:
    """The point of a method that stops at a share, on the task of this code."""
    return np.concatenate([encode(method.stopped_at(share)), code])


def earlier_scores(
    tasks: Sequence[EarlierTask], codes: Sequence[Reals], rungs: Sequence[float]
) -> Observations | None:
    """What earlier runs scored on these tasks, each ranked by itself: PGRs of different tasks do not compare.

    codes: of these tasks. rungs: of this search; a score counts for the nearest. None without any task.
    """
    parts = []
    for task, code in zip(tasks, codes, strict=True):
        values = np.array([score.pgr for score in task.scores])
        parts.append(
            Observations(
                points=np.stack([coded(score.method, score.share, code) for score in task.scores]),
                rungs=np.array([_nearest(rungs, score.share) for score in task.scores]),
                values=normal_scores(np.sort(values), values),
            )
        )
    return Observations.joined(parts) if parts else None


def _nearest(rungs: Sequence[float], share: float) -> int:
    return int(np.abs(np.log(rungs) - np.log(share)).argmin())
