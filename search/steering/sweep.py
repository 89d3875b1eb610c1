"""What a person does on the sweep's page at Weights & Biases: pause, resume, stop; as orders to the run.

The process that tracks the run asks for the sweep's state and leaves it in a file; the run reads that file.
"""

from pathlib import Path

from pydantic import ValidationError

from search.ledger.steered import Course
from search.steering.order import Order
from trainers.component import Frozen
from trainers.files import replace_file

FILE = Path("wandb") / "sweep.json"
STOPPED = ("FINISHED", "CANCELED", "CANCELLED", "STOPPED")


class SweepState(Frozen):
    """A sweep's state at W&B. changed: whether it became so while this process looked on."""

    state: str
    changed: bool


class SweepStates:
    """Leaves a sweep's state in the run directory whenever it is another one."""

    def __init__(self, run: Path) -> None:
        self._file = run / FILE
        self._last: str | None = None

    def saw(self, state: str) -> None:
        """Take in what W&B answered."""
        state = state.upper()
        if state != self._last:
            found = SweepState(state=state, changed=self._last is not None)
            replace_file(self._file, found.model_dump_json())
            self._last = state


def read_state(run: Path) -> SweepState | None:
    """The state that was last left in a run directory; None without, or if it cannot be read."""
    try:
        return SweepState.model_validate_json((run / FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def order_of(found: SweepState, course: Course) -> Order | None:
    """What a sweep's state asks of a run; None for nothing.

    A state in which a process found the sweep is no order, since it may be what an earlier process left
    behind; except that a sweep that runs ends the pause that its page began.
    """
    if found.state == "RUNNING":
        return Order(pause=False) if "wandb" in course.paused_by else None
    if not found.changed:
        return None
    if found.state == "PAUSED":
        return Order(pause=True)
    return Order(finish=True) if found.state in STOPPED else None
