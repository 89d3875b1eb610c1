"""What a run has spent on its baselines: they finish before its ledger begins, and some before a Ctrl-C."""

from pathlib import Path

from trainers.component import Frozen
from trainers.files import append_lines, open_lines, read_lines

FILE = "baselines.jsonl"


class BaselineTime(Frozen):
    """A baseline that a process of the run has trained. task: of a hidden task its name, else empty."""

    role: str
    seed: int
    seconds: float
    task: str = ""


class BaselineTimes:
    """The file of these times in a run directory, a line each, written as baselines finish."""

    def __init__(self, run: Path) -> None:
        self._path = run / FILE

    def add(self, role: str, seed: int, seconds: float, task: str = "") -> None:
        """Record a baseline that has finished."""
        line = BaselineTime(role=role, seed=seed, seconds=seconds, task=task).model_dump_json()
        with open_lines(self._path) as file:
            append_lines(file, line.encode() + b"\n")

    def total_s(self, task: str = "") -> float:
        """Seconds spent by all processes of the run; a baseline that was in the cache costs none."""
        return sum(time.seconds for time in self.all() if time.task == task)

    def all(self) -> list[BaselineTime]:
        """The baselines that processes of the run have trained so far, in the order in which they ended."""
        if not self._path.is_file():
            return []
        return read_lines(self._path, BaselineTime.model_validate_json)
