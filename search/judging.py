"""Trials beside those of their branch that reached the same rung: which have no future."""

from collections import defaultdict
from dataclasses import dataclass

from search.pruning import Answers, Decision, PruningConfig, Rivals, decide


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What becomes of a trial at a rung, beside so many rivals that were there before."""

    decision: Decision
    rivals: int


class Judge:
    """Looks at each trial at each rung once, in the order they come in.

    A trial is beside those of its branch: another kind of method may rise later, and end higher.
    """

    def __init__(self, config: PruningConfig, gap: float) -> None:
        """gap: ceiling minus weak floor, the unit of PGR."""
        self._config = config
        self._gap = gap
        self._rivals: dict[tuple[str, int], Rivals] = defaultdict(Rivals)

    @property
    def has_seen_any(self) -> bool:
        """Whether any trial reached a rung."""
        return bool(self._rivals)

    def look(self, branch: str, rung: int, right: Answers, seed_variance: float) -> Finding:
        """Compare a trial with those before it, and remember it.

        rung: its index. right: [n], of the search split. seed_variance: of PGR, between seeds of one method.
        """
        rivals = self._rivals[branch, rung]
        finding = Finding(
            decision=decide(self._config, right, rivals, self._gap, seed_variance),
            rivals=len(rivals),
        )
        rivals.add(right)
        return finding
