"""What a worker is given to do."""

from typing import Literal

from search.ledger.events import Purpose
from trainers.component import Frozen
from trainers.method import Method


class Assignment(Frozen):
    """A method and a seed for a worker to train. purpose: decides between the search and the test split.

    task: the name of a hidden task, empty for the search's own. on: of several searched tasks, those to train
    on, one after another, each to its last rung; [""] where there is one.

    rungs: rising shares of the training to report at; if the last is below 1, the trial pauses there. There
    is one if there are several tasks to train on, so that reports come in the order of the tasks.
    micro_batch: the largest that fits in memory, if it is known to be smaller than the engine's.
    """

    trial: str
    purpose: Purpose
    method: Method
    seed: int
    rungs: tuple[float, ...]
    micro_batch: int | None = None
    task: str = ""
    on: tuple[str, ...] = ("",)

    def model_post_init(self, _context: object) -> None:
        """Reject reports whose task would be unclear."""
        if len(self.on) > 1 and len(self.rungs) > 1:
            raise ValueError(f"{self.trial}: one rung at a time on several tasks, got {list(self.rungs)}")

    @property
    def split(self) -> Literal["search", "test"]:
        """The split that is predicted."""
        return "search" if self.purpose in ("search", "replicate") else "test"
