"""Trials paused at a rung, a limited number at each. Pure."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from search.scoring.pgr import Reals


@dataclass(frozen=True, kw_only=True)
class PausedTrial:
    """A trial paused at a rung. rung: its index. value: the score there. point: the encoded method."""

    trial: str
    branch: str
    point: Reals
    rung: int
    value: float


class PausedTrials:
    """The paused trials, at most `places` at each rung: each costs disk, and few of many resume."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._rungs: dict[int, dict[str, PausedTrial]] = {}
        self._rung_of: dict[str, int] = {}

    def __iter__(self) -> Iterator[PausedTrial]:
        """From the lowest rung to the highest, within a rung in order of arrival."""
        for rung in sorted(self._rungs):
            yield from self._rungs[rung].values()

    def __contains__(self, trial: str) -> bool:
        """Whether a trial with this name is paused."""
        return trial in self._rung_of

    def add(self, paused: PausedTrial) -> None:
        """Add a trial. Its rung may then hold more than `places`, see `surplus`."""
        self._rungs.setdefault(paused.rung, {})[paused.trial] = paused
        self._rung_of[paused.trial] = paused.rung

    def remove(self, trial: str) -> None:
        """Remove a trial, because it resumes or ends."""
        del self._rungs[self._rung_of.pop(trial)][trial]

    def surplus(self) -> PausedTrial | None:
        """The trial to end because a rung holds more than `places`, or None.

        It is the lowest-scoring trial of the branch with the most trials at that rung. Ties go to the last
        to arrive.
        """
        for at_rung in self._rungs.values():
            if len(at_rung) > self._places:
                counts = Counter(trial.branch for trial in at_rung.values())
                return min(reversed(at_rung.values()), key=lambda trial: (-counts[trial.branch], trial.value))
        return None
