"""Trials beside those that reached the same rung: which have no future."""

from dataclasses import dataclass

from search.pruning import Answers, Decision, PruningConfig, Rivals, decide


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What becomes of a trial at a rung, beside so many rivals that were there before."""

    decision: Decision
    rivals: int


class Judge:
    """Looks at each trial at each rung once, in the order they come in."""

    def __init__(self, config: PruningConfig, gap: float) -> None:
        """gap: ceiling minus weak floor, the unit of PGR."""
        self._config = config
        self._gap = gap
        self._rungs = [Rivals() for _ in config.rungs]

    @property
    def has_seen_any(self) -> bool:
        """Whether any trial reached a rung."""
        return any(map(len, self._rungs))

    def look(self, rung: int, right: Answers, seed_variance: float) -> Finding:
        """Compare a trial with those before it, and remember it. right: [n], of the search split.

        seed_variance: of PGR, between seeds of one method.
        """
        rivals = self._rungs[rung]
        finding = Finding(
            decision=decide(self._config, right, rivals, self._gap, seed_variance),
            rivals=len(rivals),
        )
        rivals.add(right)
        return finding
