"""A wait with a limit: it says what is awaited, and gives up with a message."""

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

FIRST_NOTE_S = 30.0  # of waiting, after which a line says so; then twice as late each time


class WaitTooLongError(RuntimeError):
    """Something that the run cannot go on without did not come in time."""


class Patience:
    """A wait for something outside of this process.

    awaited: what for, such as "a node for trial t00001". setting: the field that holds the limit.
    remedy: what to do when it never comes. clock: monotonic seconds.
    """

    def __init__(
        self,
        awaited: str,
        limit_s: float,
        setting: str,
        remedy: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._awaited = awaited
        self._limit_s = limit_s
        self._setting = setting
        self._remedy = remedy
        self._clock = clock
        self._since = clock()
        self._next_note_s = min(FIRST_NOTE_S, limit_s / 4)

    def check(self) -> None:
        """Say now and then that the wait goes on; raises WaitTooLongError once it has taken too long."""
        waited_s = self._clock() - self._since
        if waited_s > self._limit_s:
            raise WaitTooLongError(
                f"{self._awaited} did not come within {self._setting} ({self._limit_s:g} s); {self._remedy}"
            )
        if waited_s >= self._next_note_s:
            self._next_note_s = 2 * waited_s
            log.warning(
                "waiting for %s, for %.0f s now; the run ends after %s (%g s)",
                self._awaited,
                waited_s,
                self._setting,
                self._limit_s,
            )
