"""What trials scored at rungs, for the surrogate: on each task as it is, and over the tasks so far."""

from functools import cached_property

import numpy as np

from search.ledger.events import Reached
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from search.policy.encoding import encode
from search.policy.ladder import Places
from search.policy.observations import Scoreboard
from search.policy.promotion import task_code
from search.scoring.objective import Objective, additive, task_weights
from search.scoring.pgr import Reals


class TrialScores:
    """Adds the scores of search trials to a scoreboard."""

    def __init__(self, board: Scoreboard, record: Record, places: Places, objective: Objective) -> None:
        """record: has the baselines of all tasks before the first score."""
        self._board = board
        self._record = record
        self._places = places
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
        """A method that stops at a share, on a task."""
        code = task_code(self._places.index(task), len(self._places))
        return np.concatenate([encode(trial.method.stopped_at(share)), code])

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
