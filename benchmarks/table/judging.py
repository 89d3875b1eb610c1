"""Campaigns of all methods on a table, and what their winners are worth."""

import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.table.campaign import WORKERS, Plan, chance, ours, playbook, recorded
from benchmarks.table.data import Table, load
from benchmarks.table.opponents import OPPONENTS
from benchmarks.table.processes import in_processes
from benchmarks.table.world import Point, World
from search.preflight.earlier import EarlierRun

BUDGETS = (10, 30, 100)  # mean trainings
FIGURES = ("confirmed_pgr", "regret", "naive")
OURS = {"ours": playbook, "ours-random-spaces": chance}
METHODS = (*OURS, *OPPONENTS)
AFTER = "ours-after-others"  # begins with what campaigns on the table's other tasks found (from_runs)
EARLIER = 30  # mean trainings that each of them had
ANOTHER = 5_000  # to the number of a campaign: that of an earlier one, with other rows and examples
LIMIT = "limit"  # no method: what the search split tells of all rows, whatever the budget
Figures = NDArray[np.float64]


def winners(method: str, world: World, campaign: int, others: Sequence[str] = ()) -> list[Point]:
    """A method's winner at each budget; naive where it has none. others: the other tasks of the table."""
    naive = Point(0, len(world.table.settings.rungs) - 1)
    found: Sequence[Point | None]
    if method == LIMIT:
        found = [world.told_by_search_split() for _ in BUDGETS]
    elif method == AFTER:
        runs = [earlier(world.table, task, campaign) for task in others]
        found = [ours(world, campaign, budget, Plan(), earlier=runs) for budget in BUDGETS]
    elif method in OURS:
        found = [ours(world, campaign, budget, Plan(), OURS[method]) for budget in BUDGETS]
    else:
        deadlines = [budget * world.unit_s / WORKERS for budget in BUDGETS]
        found = OPPONENTS[method].winners(world, campaign, deadlines)
    return [point or naive for point in found]


def earlier(table: Table, task: str, campaign: int) -> EarlierRun:
    """A campaign on a task that came before one of this number."""
    number = campaign + ANOTHER
    return recorded(World.of(table, task, number), number, EARLIER, task)


def judged(world: World, point: Point) -> list[float]:
    """The figures of a winner; one that fails on a fresh seed is worth the weak floor."""
    pgr, regret = world.confirmed_pgr(point), world.regret(point)
    naive = float(world.table.disguises[point.row])
    return [0.0 if math.isnan(pgr) else pgr, world.most if math.isnan(regret) else regret, naive]


_table: Table | None = None


def _begin(path: Path) -> None:
    global _table
    _table = load(path)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna, Ray and the search from commenting on every trial."""
    loggers = [logging.getLogger(name) for name in ("optuna", "ray", "search")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _campaign(given: tuple[int, str, tuple[str, ...]]) -> tuple[int, list[list[list[float]]]]:
    assert _table is not None
    number, task, methods = given
    world = World.of(_table, task, number)
    with quiet():
        others = [name for name in _table.tasks if name != task]
        found = [winners(method, world, number, others) for method in methods]
    figures = [[judged(world, point) for point in points] for points in found]
    return number, figures


def campaigns(
    path: Path,
    tasks: Sequence[str],
    methods: Sequence[str],
    count: int,
    processes: int,
    every: Callable[[Figures], object],
) -> Figures:
    """Figures float [campaigns, methods, budgets, figures]; the tasks of the table at path take turns.

    every: called with those that are there after each campaign.
    """
    found = np.full((count, len(methods), len(BUDGETS), len(FIGURES)), np.nan)
    todo = [(number, tasks[number % len(tasks)], tuple(methods)) for number in range(count)]
    with in_processes(processes, _begin, (path,)) as ended:
        for number, figures in tqdm(ended(_campaign, todo), total=count, desc="campaigns"):
            found[number] = figures
            every(found)
    return found


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 4) for value in values]


def mean_and_se(values: Figures) -> tuple[list[float], list[float]]:
    """[campaigns, budgets]: mean and standard error over campaigns."""
    se = values.std(axis=0, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else values[0] * np.nan
    return _rounded(values.mean(axis=0)), _rounded(se)


def summary(figures: Mapping[str, Figures]) -> dict[str, Any]:
    """The means of each method's figures [campaigns, budgets, figures], and how far ours is ahead."""
    rows: dict[str, Any] = {}
    for method, found in figures.items():
        pgr, se = mean_and_se(found[..., 0])
        regret, regret_se = mean_and_se(found[..., 1])
        rows[method] = {"confirmed_pgr": pgr, "se": se, "regret": regret, "regret_se": regret_se}
        rows[method]["naive_wins"] = _rounded(found[..., 2].mean(axis=0))
        if "ours" in figures and method != "ours":
            ahead = figures["ours"][..., 0] - found[..., 0]
            rows[method]["ours_ahead"], rows[method]["ours_ahead_se"] = mean_and_se(ahead)
    return rows


def shown(rows: Mapping[str, Any]) -> str:
    """A line a method: confirmed PGR at each budget, and how far ours is ahead."""
    lines = ["confirmed PGR".ljust(20) + "".join(f"{budget:>16}" for budget in BUDGETS) + "   ours ahead"]
    for name, row in rows.items():
        cells = [f"{a:.3f} ± {b:.3f}" for a, b in zip(row["confirmed_pgr"], row["se"], strict=True)]
        ahead = zip(row.get("ours_ahead", ()), row.get("ours_ahead_se", ()), strict=True)
        gains = "  ".join(f"{a:+.3f} ± {b:.3f}" for a, b in ahead)
        lines.append(name.ljust(20) + "".join(f"{cell:>16}" for cell in cells) + f"   {gains}")
    return "\n".join(lines)
