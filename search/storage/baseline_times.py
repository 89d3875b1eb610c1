"""What a run spends on its baselines: they finish before its ledger begins, and some before a Ctrl-C."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter

from trainers.component import Frozen
from trainers.files import append_lines, open_lines, read_lines

FILE = "baselines.jsonl"


class BaselinesBegun(Frozen):
    """A process of the run begins to train baselines. due: how many of each role, without those in the cache.

    together: how many trials will run at once. task: of a hidden or a further task its name, else empty.
    """

    due: Mapping[str, int]
    together: int
    at: float
    task: str = ""


class BaselineTime(Frozen):
    """A baseline that a process of the run trains. task: as of BaselinesBegun.

    share: of its training that is done, 1 once it has finished. seconds: until then. shared_s: those of them
    that passed until features were there that all of its role share. due_s: where the share is 0, the seconds
    that these features were expected to take.
    """

    role: str
    seed: int
    seconds: float
    task: str = ""
    shared_s: float = 0.0
    due_s: float = 0.0
    share: float = 1.0
    at: float = 0.0


Line = BaselinesBegun | BaselineTime
LINE: TypeAdapter[Line] = TypeAdapter(Line)


class BaselineTimes:
    """The file of these times in a run directory, a line each, written as baselines are trained."""

    def __init__(self, run: Path) -> None:
        self._path = run / FILE

    def add(self, line: Line) -> None:
        """Append what is known now."""
        with open_lines(self._path) as file:
            append_lines(file, line.model_dump_json().encode() + b"\n")

    def total_s(self, task: str = "") -> float:
        """Seconds spent by all processes of the run; a baseline that was in the cache costs none."""
        return sum(time.seconds for time in self.finished() if time.task == task)

    def finished(self) -> list[BaselineTime]:
        """The baselines that processes of the run have trained so far, in the order in which they ended."""
        return [line for line in self.lines() if isinstance(line, BaselineTime) and line.share == 1]

    def lines(self) -> list[Line]:
        """All lines so far."""
        return read_lines(self._path, LINE.validate_json) if self._path.is_file() else []
