"""Ctrl-C and SIGTERM end a run at the next safe place; a second one ends it at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Remembers that the run was told to stop."""

    def __init__(self) -> None:
        self._told = threading.Event()

    def check(self) -> None:
        """Raise KeyboardInterrupt if the run was told to stop."""
        if self._told.is_set():
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._told.is_set():
            raise KeyboardInterrupt
        self._told.set()


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Turn SIGINT and SIGTERM into a flag for as long as the block runs."""
    interruption = Interruption()
    before = {
        number: signal.signal(number, interruption._handle) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
