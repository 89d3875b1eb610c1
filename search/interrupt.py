"""Ctrl-C or SIGTERM stops a run at the next safe point; a second signal stops it at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Remembers that a signal asked the run to stop."""

    def __init__(self) -> None:
        self._stop_requested = threading.Event()
        self._error: Exception | None = None

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal asked the run to stop, or the error given to `end_run`."""
        if self._error:
            raise self._error
        if self._stop_requested.is_set():
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._stop_requested.is_set():
            raise KeyboardInterrupt
        self._stop_requested.set()


_active: list[Interruption] = []


def end_run(error: Exception) -> None:
    """Have the runs of this process end with an error at their next safe points; from any thread."""
    for interruption in _active:
        interruption._error = error


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Turn SIGINT and SIGTERM into a flag while the block runs."""
    interruption = Interruption()
    before = {
        number: signal.signal(number, interruption._handle) for number in (signal.SIGINT, signal.SIGTERM)
    }
    _active.append(interruption)
    try:
        yield interruption
    finally:
        _active.remove(interruption)
        for number, handler in before.items():
            signal.signal(number, handler)
