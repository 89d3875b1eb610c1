"""What goes to a worker."""

from search.ledger.events import Purpose
from trainers.component import Frozen
from trainers.method import Method


class Assignment(Frozen):
    """A method and a seed for a worker, and whether it predicts on the search or on the test split.

    rungs: rising shares of the training to report at; where the last is below 1, the trial pauses there.
    micro_batch: the largest that fits, if that is known to be less than the engine's.
    """

    trial: str
    purpose: Purpose
    method: Method
    seed: int
    rungs: tuple[float, ...]
    micro_batch: int | None = None
