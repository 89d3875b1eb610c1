"""What all events have in common: their time, on a clock that never goes back."""

import time

from pydantic import Field

from trainers.component import Frozen

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # goes on while a machine sleeps
_CLOCK_ZERO = time.time() - time.clock_gettime(_CLOCK)


def now() -> float:
    """Seconds since the epoch. Never goes back within a process, even if somebody sets the clock back."""
    return _CLOCK_ZERO + time.clock_gettime(_CLOCK)


class Event(Frozen):
    """Something that happened. at: seconds since the epoch."""

    at: float = Field(default_factory=now)
