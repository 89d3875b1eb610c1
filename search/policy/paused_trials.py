"""Trials that wait at a rung, so many at most. Pure."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from search.scoring.pgr import Reals


@dataclass(frozen=True, kw_only=True)
class Waiter:
    """A trial that has stopped at the rung with this index, with the score that it reached there."""

    trial: str
    branch: str
    point: Reals
    rung: int
    value: float


class WaitingRoom:
    """Seats for so many trials at each rung: who waits costs disk, and of a crowd few are ever called."""

    def __init__(self, seats: int) -> None:
        self._seats = seats
        self._rungs: dict[int, dict[str, Waiter]] = {}

    def __iter__(self) -> Iterator[Waiter]:
        """From the lowest rung to the highest, at each in the order they came."""
        for rung in sorted(self._rungs):
            yield from self._rungs[rung].values()

    def enter(self, waiter: Waiter) -> Waiter | None:
        """Seat a trial; returns who has to leave where there are too many.

        That is the lowest of the branch with the most seats at that rung; of equals the last to come.
        """
        here = self._rungs.setdefault(waiter.rung, {})
        here[waiter.trial] = waiter
        if len(here) <= self._seats:
            return None
        seats = Counter(one.branch for one in here.values())
        last = min(reversed(here.values()), key=lambda one: (-seats[one.branch], one.value))
        return here.pop(last.trial)

    def leave(self, waiter: Waiter) -> None:
        """A trial goes on, or ends."""
        del self._rungs[waiter.rung][waiter.trial]
