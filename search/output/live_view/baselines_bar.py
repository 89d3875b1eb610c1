"""The bar of the first phase: weak supervisors and ceilings that are trained or come from the cache."""

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from search.output.live_view.phases import named
from search.output.live_view.progress import ClockS, duration

LINE_S = 30.0  # between two lines if the output is no terminal


class BaselinesBar:
    """A bar on a terminal; elsewhere a line every 30 s, and one as soon as more is known of the time left.

    Baselines that were in the cache take no time.
    """

    def __init__(
        self,
        console: Console,
        about: str,
        left: Callable[[], ClockS | None] = lambda: None,
        features: Callable[[], float | None] = lambda: None,
    ) -> None:
        """about: what stands beside the bar. left: seconds of the run that are left, where they are known.

        features: seconds until frozen features are there, while they are computed.
        """
        self._console, self._about, self._left, self._features = console, about, left, features
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=26), MofNCompleteColumn())
        self._progress = Progress(*columns, TextColumn("{task.fields[left]}"))
        self._bar = self._progress.add_task(about, total=None, left="")
        self._live = Live(self._progress, console=console, transient=True) if console.is_terminal else None
        self._began: tuple[float, int] | None = None
        self._said = time.monotonic()
        self._said_last: tuple[bool, bool] = (False, False)

    def __enter__(self) -> "BaselinesBar":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, done: int, total: int) -> None:
        """Show how many are there."""
        at = time.monotonic()
        began_at, before = self._began = self._began or (at, done)
        clock_s = self._left()
        left_s = seconds_left(at - began_at, done - before, total - done)
        if clock_s is not None:
            left_s = clock_s.get("baselines", left_s)
        left = "" if left_s is None or done == total else f"about {duration(left_s)}"
        features_s = self._features() if clock_s is None else None
        if features_s is not None:
            left = f"frozen features in about {duration(features_s)}"
        self._progress.update(self._bar, completed=done, total=total, left=left)
        if self._live:
            shown = self._progress if clock_s is None else Group(self._progress, Text(whole(clock_s)))
            self._live.update(shown, refresh=True)
            return
        known = clock_s is not None, features_s is not None
        if (at - self._said >= LINE_S or known > self._said_last) and done < total:
            self._said, self._said_last = at, known
            told = f", {left}{'' if features_s is not None else ' left'}" if left else ""
            line = f"{self._about}: {done} of {total} there{told}"
            run = "" if clock_s is None else f"; {whole(clock_s)}"
            self._console.print(line + run, highlight=False, soft_wrap=True)


def whole(clock_s: ClockS) -> str:
    """What is left of the whole run, and of its phases after the baselines."""
    after = {name: seconds for name, seconds in named(clock_s).items() if name != "baselines"}
    parts = ", ".join(f"{name} {duration(seconds)}" for name, seconds in after.items())
    return f"the whole run: about {duration(sum(clock_s.values()))} left ({parts})"


def seconds_left(elapsed_s: float, trained: int, left: int) -> float | None:
    """Seconds by the clock for those that are left, at the pace of those trained; None before the first."""
    return elapsed_s / trained * left if trained else None
