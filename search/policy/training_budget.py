"""How much a search trains. Pure: what has been given out in, what is still allowed out."""

from collections.abc import Sequence

SLACK = 1e-9  # shares such as 1/9 don't add up exactly


class Budget:
    """Counts trials, and full trainings: a trial on its way to a rung counts as having reached it.

    New trials are never short of training: what they need to reach the first rung is set aside.
    """

    def __init__(self, *, trials: int, effort: float, rungs: Sequence[float], completions: int) -> None:
        """trials: how many are started. effort: full trainings for each of them.

        rungs: rising shares of a training, the last one 1. completions: trials that are completed in any
        case, as far as there are any.
        """
        self._trials = trials
        self._total = effort * trials
        self._rungs = rungs
        self._costs = [high - low for low, high in zip((0.0, *rungs), rungs, strict=False)]
        self._short_of = completions
        self.started = 0
        self.spent = 0.0

    @property
    def new_left(self) -> int:
        """Trials that may still be started."""
        return max(0, self._trials - self.started)

    def spend(self, rung: int) -> None:
        """A trial begins its way to the rung with this index from the one before."""
        self.started += rung == 0
        self.spent += self._costs[rung]
        self._short_of -= rung == len(self._rungs) - 1

    def failed(self, rung: int) -> None:
        """A trial did not reach this rung; what it took stays spent."""
        self._short_of += rung == len(self._rungs) - 1

    def affordable(self, rungs: Sequence[int], *, more_to_come: bool) -> list[bool]:
        """Which steps to these rungs may be taken, while new trials are still to come or when none are.

        Past the budget, and with no new trial to come, those nearest to their end may go on as long as too
        few complete.
        """
        aside = self.new_left * self._costs[0] if more_to_come else 0.0
        left = self._total - self.spent - aside + SLACK
        within = [self._costs[rung] <= left for rung in rungs]
        if not rungs or any(within) or more_to_come or self._short_of <= 0:
            return within
        return [rung == max(rungs) for rung in rungs]
