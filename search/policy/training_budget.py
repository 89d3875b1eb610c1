"""How much training a search may still start. Pure."""

from collections.abc import Sequence

TOLERANCE = 1e-9  # shares such as 1/9 don't add up exactly


class Budget:
    """Counts trials and full trainings. A trial that trains towards a rung counts as having reached it.

    The training that new trials need to reach the first rung is reserved for them.
    """

    def __init__(self, *, trials: int, effort: float, rungs: Sequence[float], completions: int) -> None:
        """trials: how many may start. effort: full trainings for each of them, on average.

        rungs: rising shares of a training, the last one 1. completions: trials that may complete even past
        the budget.
        """
        self._trials = trials
        self._total = effort * trials
        self._rungs = rungs
        self._costs = [high - low for low, high in zip((0.0, *rungs), rungs, strict=False)]
        self._completions_missing = completions
        self.started = 0
        self.spent = 0.0

    @property
    def new_left(self) -> int:
        """Trials that may still be started."""
        return max(0, self._trials - self.started)

    def spend(self, rung: int) -> None:
        """Count a trial that starts training to the rung with this index, from the rung before."""
        self.started += rung == 0
        self.spent += self._costs[rung]
        self._completions_missing -= rung == len(self._rungs) - 1

    def failed(self, rung: int) -> None:
        """Count a trial that failed on its way to this rung; its training stays spent."""
        self._completions_missing += rung == len(self._rungs) - 1

    def affordable(self, rungs: Sequence[int], *, more_to_come: bool) -> list[bool]:
        """For each rung, whether a trial may train to it from the rung before.

        more_to_come: whether new trials may still start. Past the budget, and with no new trial to come, the
        trials nearest to completion may go on while completions are missing.
        """
        reserved = self.new_left * self._costs[0] if more_to_come else 0.0
        left = self._total - self.spent - reserved + TOLERANCE
        within = [self._costs[rung] <= left for rung in rungs]
        if not rungs or any(within) or more_to_come or self._completions_missing <= 0:
            return within
        return [rung == max(rungs) for rung in rungs]
