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

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal asked the run to stop."""
        if self._stop_requested.is_set():
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._stop_requested.is_set():
            raise KeyboardInterrupt
        self._stop_requested.set()


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Turn SIGINT and SIGTERM into a flag while the block runs."""
    interruption = Interruption()
    before = {
        number: signal.signal(number, interruption._handle) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
