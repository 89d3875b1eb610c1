"""The bar of the first phase: weak supervisors and ceilings that are trained or come from the cache."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from search.output.live_view.progress import duration

LINE_S = 30.0  # between two lines if the output is no terminal


class BaselinesBar:
    """A bar on a terminal; elsewhere a line every 30 s. Baselines that were in the cache take no time."""

    def __init__(self, console: Console, about: str) -> None:
        """about: what stands beside the bar."""
        self._console, self._about = console, about
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=26), MofNCompleteColumn())
        self._progress = Progress(
            *columns, TextColumn("{task.fields[left]}"), console=console, transient=True
        )
        self._bar = self._progress.add_task(about, total=None, left="")
        self._began: tuple[float, int] | None = None
        self._said = time.monotonic()

    def __enter__(self) -> "BaselinesBar":
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def show(self, done: int, total: int) -> None:
        """Show how many are there."""
        at = time.monotonic()
        began_at, before = self._began = self._began or (at, done)
        left_s = seconds_left(at - began_at, done - before, total - done)
        left = "" if left_s is None else f"about {duration(left_s)}"
        self._progress.update(self._bar, completed=done, total=total, left=left)
        if not self._console.is_terminal and at - self._said >= LINE_S and done < total:
            self._said = at
            line = f"{self._about}: {done} of {total} there{f', {left} left' if left else ''}"
            self._console.print(line, highlight=False, soft_wrap=True)


def seconds_left(elapsed_s: float, trained: int, left: int) -> float | None:
    """Seconds by the clock for those that are left, at the pace of those trained; None before the first."""
    return elapsed_s / trained * left if trained else None
