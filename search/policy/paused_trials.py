"""Trials that wait at a rung, a limited number at each. Pure."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from search.scoring.pgr import Reals


@dataclass(frozen=True, kw_only=True)
class PausedTrial:
    """A trial that stopped at the rung with this index, its score there, and its method as a point."""

    trial: str
    branch: str
    point: Reals
    rung: int
    value: float


class PausedTrials:
    """Places for a limited number of trials at each rung: a paused trial costs disk, few of many resume."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._rungs: dict[int, dict[str, PausedTrial]] = {}
        self._rung_of: dict[str, int] = {}

    def __iter__(self) -> Iterator[PausedTrial]:
        """From the lowest rung to the highest, at each in the order of arrival."""
        for rung in sorted(self._rungs):
            yield from self._rungs[rung].values()

    def __contains__(self, trial: str) -> bool:
        """Whether a trial with this name is paused."""
        return trial in self._rung_of

    def add(self, paused: PausedTrial) -> None:
        """Take in a trial. It may be one too many, see `surplus`."""
        self._rungs.setdefault(paused.rung, {})[paused.trial] = paused
        self._rung_of[paused.trial] = paused.rung

    def remove(self, trial: str) -> None:
        """The trial resumes, or ends."""
        del self._rungs[self._rung_of.pop(trial)][trial]

    def surplus(self) -> PausedTrial | None:
        """The trial that has to leave a rung with too many, if there is one.

        It is the lowest of the branch with the most places at that rung; of equals the last to arrive.
        """
        for here in self._rungs.values():
            if len(here) > self._places:
                places = Counter(paused.branch for paused in here.values())
                return min(reversed(here.values()), key=lambda paused: (-places[paused.branch], paused.value))
        return None
