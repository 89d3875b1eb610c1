"""The event by which a search begins with the scores of earlier runs."""

from typing import Literal

from search.ledger.event import Event
from trainers.component import Frozen
from trainers.method import Method


class EarlierScore(Frozen):
    """What a method of an earlier run scored at a rung. method: as the naive baseline here suggests it."""

    method: Method
    share: float
    pgr: float


class EarlierTask(Frozen):
    """Scores of an earlier run on one of its tasks. task: its name where the run searched several.

    run, id: see `search.ledger.events.EarlierOpening`.
    """

    run: str
    id: str = ""
    task: str = ""
    scores: tuple[EarlierScore, ...]


class EarlierScored(Event):
    """What earlier runs scored (`from_runs`), from which the surrogate begins to learn.

    tasks: of all runs, those without scores too.
    """

    event: Literal["earlier_scored"] = "earlier_scored"
    tasks: tuple[EarlierTask, ...]

    @property
    def with_scores(self) -> tuple[EarlierTask, ...]:
        """The tasks that have scores."""
        return tuple(task for task in self.tasks if task.scores)
