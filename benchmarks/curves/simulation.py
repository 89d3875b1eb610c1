"""Asynchronous workers in virtual time on recorded curves: one evaluation is one unit of time and of cost."""

import heapq
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from benchmarks.curves.data import Curves


class Strategy(Protocol):
    """What decides: which row a free worker trains, and whether it keeps at it."""

    def assign(self) -> int | None:
        """The row that a free worker trains next, new or paused before; None when there is none left."""

    def report(self, row: int, evaluation: int, loss: float) -> bool:
        """Take in a validation loss, NaN = diverged, after so many evaluations; say whether to go on."""


def simulate(
    curves: Curves, task: int, strategy: Strategy, *, workers: int, budgets: Sequence[float]
) -> list[float]:
    """Regret of the incumbent at each budget, in full trainings over all workers, rising.

    The incumbent is the row with the lowest validation loss read so far, at any fidelity; before any loss was
    read the regret is 1. A row that is resumed goes on at the evaluation where it was left.
    """
    validation, regret = curves.validation[task], curves.regret(task)
    read = np.zeros(curves.rows, dtype=np.int64)
    lowest, score = np.inf, 1.0
    ends = [budget * curves.evaluations / workers for budget in budgets]
    scores: list[float] = []
    running = [(1, worker, row) for worker in range(workers) if (row := strategy.assign()) is not None]
    heapq.heapify(running)
    while running and len(scores) < len(ends):
        now, worker, row = heapq.heappop(running)
        while len(scores) < len(ends) and now > ends[len(scores)]:
            scores.append(score)
        loss = float(validation[row, read[row]])
        read[row] += 1
        if loss < lowest:
            lowest, score = loss, float(regret[row])
        goes_on = strategy.report(row, int(read[row]), loss) and read[row] < curves.evaluations
        following = row if goes_on else strategy.assign()
        if following is not None:
            heapq.heappush(running, (now + 1, worker, following))
    return scores + [score] * (len(ends) - len(scores))


def regrets(
    curves: Curves,
    make: Callable[[int], Strategy],
    *,
    seeds: int,
    workers: int,
    budgets: Sequence[float],
    done: Callable[[], None],
) -> np.ndarray:
    """[tasks, seeds, budgets] of simulate, a fresh `make(seed)` each, all seeds differ; `done` after each."""
    out = np.empty((len(curves.tasks), seeds, len(budgets)))
    for task in range(len(curves.tasks)):
        for seed in range(seeds):
            strategy = make(task * seeds + seed)
            out[task, seed] = simulate(curves, task, strategy, workers=workers, budgets=budgets)
            done()
    return out
