"""Leave one task out in turn: what a search on the others is worth where it did not look.

Ways to spend the same seconds, judged alike by fresh supervisors on the test split of the task left out,
of which they have seen nothing:

ours_on_one: a campaign on one of the other tasks; the mean over each of them in turn.
ours_on_all: one campaign on all others, by the score over tasks that --objective names, as search.objective
does. ours_on_all_mean: by the mean.
asha_on_all, random_on_all: random methods, every step trained on all others, by Ray's rule on the mean or to
the end; the highest mean names the winner. asha_expert_on_all: the three best trained on further supervisors.
asha_on_all_scored, …: the same by the score of ours_on_all.
naive: the naive baseline.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from scipy import stats
from tqdm import tqdm

from benchmarks.table.campaign import WORKERS, Plan, ours
from benchmarks.table.data import Table, load
from benchmarks.table.judging import Figures, mean_and_se, quiet
from benchmarks.table.opponents import OPPONENTS
from benchmarks.table.processes import in_processes
from benchmarks.table.together import Together
from benchmarks.table.world import Point, World
from search.scoring.objective import DEFAULT, Objective

OURS, OURS_BY_MEAN = "ours_on_all", "ours_on_all_mean"
BY_MEAN = {"asha_on_all": "asha", "random_on_all": "random", "asha_expert_on_all": "asha-expert"}
SCORED = {f"{name}_scored": opponent for name, opponent in BY_MEAN.items()}
NAMES = ("ours_on_one", OURS, OURS_BY_MEAN, *BY_MEAN, *SCORED, "naive")
FEWEST = 3  # tasks of a table: two to search on, one left out
LONGER = (1.0, 1.5, 2.0, 3.0)  # times the seconds of a campaign on one task


def unit_s(table: Table) -> float:
    """Seconds of a mean training of one task: a budget is so many of them."""
    return fmean(task.training_s for task in table.tasks.values())


def worth(world: World, point: Point) -> float:
    """The confirmed PGR; of a method that fails on a fresh seed that of the weak floor, 0."""
    found = world.confirmed_pgr(point)
    return 0.0 if np.isnan(found) else found


def searched(world: World, campaign: int, budget: float, unit: float) -> Point:
    """The winner of a campaign of ours with so many units of seconds; naive where it has none."""
    found = ours(world, campaign, budget * unit / world.unit_s, Plan())
    return found or _naive(world)


def _naive(world: World) -> Point:
    return Point(0, len(world.table.settings.rungs) - 1)


def left_out(
    table: Table, campaign: int, budgets: Sequence[float], objective: Objective = DEFAULT
) -> Figures:
    """[tasks, names, budgets] the confirmed PGR on each task, left out in its turn."""
    names, unit = list(table.tasks), unit_s(table)
    alone = {name: World.of(table, name, campaign) for name in names}
    on_one = {
        name: [searched(world, campaign, budget, unit) for budget in budgets] for name, world in alone.items()
    }
    found = np.zeros((len(names), len(NAMES), len(budgets)))
    for place, hidden in enumerate(names):
        others = [name for name in names if name != hidden]
        world, there = Together.of_tasks(table, others, campaign, objective), alone[hidden]
        of_each = [[worth(there, point) for point in on_one[name]] for name in others]
        deadlines = [budget * unit / WORKERS for budget in budgets]
        by_mean = replace(world, objective="mean")
        winners = {
            OURS: [searched(world, campaign, budget, unit) for budget in budgets],
            OURS_BY_MEAN: [searched(by_mean, campaign, budget, unit) for budget in budgets],
        }
        for name, opponent in (BY_MEAN | SCORED).items():
            met = by_mean if name in BY_MEAN else world
            points = OPPONENTS[opponent].winners(met, campaign, deadlines)
            winners[name] = [point or _naive(world) for point in points]
        winners["naive"] = [_naive(world)] * len(budgets)
        rows = {name: [worth(there, point) for point in points] for name, points in winners.items()}
        rows["ours_on_one"] = [fmean(of_budget) for of_budget in zip(*of_each, strict=True)]
        found[place] = [rows[name] for name in NAMES]
    return found


def costs(table: Table, campaign: int, budgets: Sequence[float], objective: Objective = DEFAULT) -> Figures:
    """[tasks, 2 + times, budgets] of what a campaign on one task and on three at once find.

    For each task left out: what a campaign on one of the others finds, by its PGR on that task and by its
    mean over all others, each as the mean over them in turn; then the mean PGR that a campaign on all others
    finds in so many times the seconds.
    """
    names, unit = list(table.tasks), unit_s(table)
    alone = {name: World.of(table, name, campaign) for name in names}
    on_one = {
        name: [searched(world, campaign, budget, unit) for budget in budgets] for name, world in alone.items()
    }
    found = np.zeros((len(names), 2 + len(LONGER), len(budgets)))
    for place, hidden in enumerate(names):
        others = [name for name in names if name != hidden]
        world = Together.of_tasks(table, others, campaign, objective)
        for i, budget in enumerate(budgets):
            points = [(name, on_one[name][i]) for name in others]
            found[place, 0, i] = fmean(worth(alone[name], point) for name, point in points)
            found[place, 1, i] = fmean(_worth_on_all(world, point) for _, point in points)
            for nth, times in enumerate(LONGER):
                winner = searched(world, campaign, times * budget, unit)
                found[place, 2 + nth, i] = _worth_on_all(world, winner)
    return found


def _worth_on_all(world: Together, point: Point) -> float:
    return fmean(worth(one, point) for one in world.worlds.values())


def rank_correlations(table: Table) -> dict[str, dict[str, float]]:
    """Spearman's correlation of whole trainings' test accuracies between tasks, means over seeds.

    Of a task with itself: between two halves of its seeds, as high as one can expect of others.
    """
    found = {name: task.test_accuracy[:, :, -1] for name, task in table.tasks.items()}
    half = table.settings.seeds // 2
    halves = {name: (values[:, :half], values[:, half:]) for name, values in found.items()}
    return {
        one: {
            other: _rank_correlation(*(halves[one] if one == other else (found[one], found[other])))
            for other in found
        }
        for one in found
    }


def _rank_correlation(first: Figures, second: Figures) -> float:
    means = first.mean(axis=1), second.mean(axis=1)  # NaN where a seed failed
    return round(float(stats.spearmanr(*means, nan_policy="omit").statistic), 3)


_table: Table | None = None


def _begin(path: Path) -> None:
    global _table
    _table = load(path)


def _campaign(given: tuple[int, tuple[float, ...], Objective, bool]) -> tuple[int, Figures]:
    assert _table is not None
    number, budgets, objective, cost = given
    with quiet():
        return number, (costs if cost else left_out)(_table, number, budgets, objective)


def campaigns(
    path: Path,
    budgets: Sequence[float],
    count: int,
    processes: int,
    every: Callable[[Sequence[Figures]], object],
    *,
    objective: Objective = DEFAULT,
    cost: bool = False,
) -> None:
    """Run so many campaigns of every way. every: called after each with the figures that are there."""
    todo, found = [(number, tuple(budgets), objective, cost) for number in range(count)], dict[int, Figures]()
    with in_processes(processes, _begin, (path,)) as ended:
        for number, figures in tqdm(ended(_campaign, todo), total=count, desc="campaigns"):
            found[number] = figures
            every([found[one] for one in sorted(found)])


def summary(tasks: Sequence[str], figures: Figures) -> dict[str, Any]:
    """Of [campaigns, tasks, names, budgets]: each task left out, and the mean over them.

    ahead: of `ours_on_all` over another, paired by campaign.
    """
    of_tasks = {task: _rows(figures[:, place]) for place, task in enumerate(tasks)}
    return {"left_out": of_tasks, "mean": _rows(figures.mean(axis=1))}


def _rows(figures: Figures) -> dict[str, Any]:
    """[campaigns, names, budgets]."""
    rows: dict[str, Any] = {}
    for place, name in enumerate(NAMES):
        pgr, se = mean_and_se(figures[:, place])
        rows[name] = {"confirmed_pgr": pgr, "se": se}
        if name != OURS:
            ahead = figures[:, NAMES.index(OURS)] - figures[:, place]
            rows[name]["ours_on_all_ahead"], rows[name]["ours_on_all_ahead_se"] = mean_and_se(ahead)
    return rows


def cost_summary(figures: Figures) -> dict[str, Any]:
    """Of [campaigns, tasks, 2 + times, budgets] the means over tasks, and times the seconds."""
    means = figures.mean(axis=1)
    told = {
        "on_one_its_own": means[:, 0],
        "on_one_all": means[:, 1],
        **{f"on_all_{times:g}x": means[:, 2 + nth] for nth, times in enumerate(LONGER)},
    }
    rows: dict[str, Any] = {}
    for name, values in told.items():
        pgr, se = mean_and_se(values)
        rows[name] = {"confirmed_pgr": pgr, "se": se}
    average = means.mean(axis=0)
    for aim, name in enumerate(("times_the_seconds_of_its_own", "times_the_seconds_of_all")):
        rows[name] = [times_needed(average[2:, i], float(average[aim, i])) for i in range(average.shape[1])]
    return rows


def times_needed(found: Sequence[float] | Figures, aim: float) -> float | None:
    """How many times the seconds give this PGR, between those measured; None where even the most do not."""
    if found[0] >= aim:
        return LONGER[0]
    for nth in range(1, len(LONGER)):
        if found[nth] >= aim:
            share = (aim - found[nth - 1]) / (found[nth] - found[nth - 1])
            return round(LONGER[nth - 1] + share * (LONGER[nth] - LONGER[nth - 1]), 2)
    return None


def shown(rows: Mapping[str, Any], budgets: Sequence[float]) -> str:
    """A line a way: the mean confirmed PGR on the task left out."""
    lines = ["on the task left out".ljust(20) + "".join(f"{budget:>16g}" for budget in budgets)]
    for name, row in rows.items():
        cells = [f"{a:.3f} ± {b:.3f}" for a, b in zip(row["confirmed_pgr"], row["se"], strict=True)]
        lines.append(name.ljust(20) + "".join(f"{cell:>16}" for cell in cells))
    return "\n".join(lines)
