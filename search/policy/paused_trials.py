"""Trials paused at a place, a rung on one of the tasks: a limited number at each. Pure."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from search.scoring.pgr import Reals


@dataclass(frozen=True, kw_only=True)
class PausedTrial:
    """A paused trial. place: see search.policy.ladder. value: the score there. point: the encoded method."""

    trial: str
    branch: str
    point: Reals
    place: int
    value: float


class PausedTrials:
    """The paused trials, at most `waiting` at each place: each costs disk, and few of many resume."""

    def __init__(self, waiting: int) -> None:
        self._waiting = waiting
        self._places: dict[int, dict[str, PausedTrial]] = {}
        self._place_of: dict[str, int] = {}

    def __iter__(self) -> Iterator[PausedTrial]:
        """From the lowest place to the highest, within a place in order of arrival."""
        for place in sorted(self._places):
            yield from self._places[place].values()

    def __contains__(self, trial: str) -> bool:
        """Whether a trial with this name is paused."""
        return trial in self._place_of

    def add(self, paused: PausedTrial) -> None:
        """Add a trial. Its place may then hold more than `waiting`, see `surplus`."""
        self._places.setdefault(paused.place, {})[paused.trial] = paused
        self._place_of[paused.trial] = paused.place

    def remove(self, trial: str) -> None:
        """Remove a trial, because it resumes or ends."""
        del self._places[self._place_of.pop(trial)][trial]

    def surplus(self) -> PausedTrial | None:
        """The trial to end because a place holds more than `waiting`, or None.

        It is the lowest-scoring trial of the branch with the most trials there. Ties go to the last to
        arrive.
        """
        for there in self._places.values():
            if len(there) > self._waiting:
                counts = Counter(trial.branch for trial in there.values())
                return min(reversed(there.values()), key=lambda trial: (-counts[trial.branch], trial.value))
        return None
