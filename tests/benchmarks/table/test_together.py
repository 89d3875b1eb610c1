from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agents.findings.predictions import pack
from benchmarks.table.campaign import Campaign, Plan, playbook
from benchmarks.table.data import Table
from benchmarks.table.opponents import OPPONENTS
from benchmarks.table.together import Together
from benchmarks.table.world import Point
from search.scoring.objective import DEFAULT, Objective, aggregate

NAMES = ("reviews", "quarrels")
POINT = Point(5, 2)


@pytest.fixture
def world(made_up: Table) -> Together:
    return Together.of_tasks(made_up, NAMES, campaign=3)


def test_a_training_takes_the_seconds_of_all_tasks(world: Together) -> None:
    row = world.task.seconds[POINT.row, world.order[0]]
    assert row == pytest.approx([2.5, 5, 15])
    assert world.unit_s == pytest.approx((9 + 13.5) / 2)  # a unit is a training of one task


def test_a_method_fails_where_one_task_fails(made_up: Table) -> None:
    quarrels = made_up.tasks["quarrels"]
    quarrels.failed[7, 2] = True
    try:
        world = Together.of_tasks(made_up, NAMES, campaign=3)
    finally:
        quarrels.failed[7, 2] = False
    assert world.task.failed.sum() == 1
    assert world.task.failed[7, 2]


def test_scores_are_the_objective_over_the_tasks(world: Together) -> None:
    each = list(world.worlds.values())
    assert len({tuple(one.rows) for one in each}) == len({tuple(one.order) for one in each}) == 1
    of_tasks = [one.search_pgr(POINT, 1) for one in each]
    assert world.search_pgr(POINT, 1) == pytest.approx(aggregate(of_tasks, DEFAULT))
    assert replace(world, objective="mean").search_pgr(POINT, 1) == pytest.approx(np.mean(of_tasks))
    assert world.confirmed_pgr(POINT) == pytest.approx(np.mean([one.confirmed_pgr(POINT) for one in each]))
    seen = {
        name: pack(one.task.predictions("search", POINT.row, one.order[1], POINT.rung))
        for name, one in world.worlds.items()
    }
    graded = world.several.grade(world.several.joined(seen, "search"))
    assert graded.pgr == pytest.approx(world.search_pgr(POINT, 1))


def test_its_baselines_are_those_of_a_run_on_several_tasks(world: Together) -> None:
    ready = world.baselines()
    assert [one.name for one in ready.tasks] == list(NAMES)
    assert ready.weak_acc == pytest.approx(np.mean([one.weak_acc for one in ready.tasks]))
    assert ready.examples == 160
    assert len(ready.weak_predictions) == ready.seeds == 2


def test_the_config_has_its_tasks_and_no_more_trials_than_the_seconds_pay_for(world: Together) -> None:
    together, alone = Plan().config(world, 1, 100), Plan().config(world.worlds["reviews"], 1, 100)
    assert tuple(together.searched) == NAMES
    assert tuple(alone.searched) == ("",)
    assert together.search.trials == alone.search.trials / 2


def test_by_the_pooled_objective_a_task_counts_by_its_gap(world: Together) -> None:
    pooled = replace(world, objective="pooled")
    assert Plan().config(pooled, 1, 100).search.objective == "pooled"
    gaps = {name: one.scale.gap for name, one in world.worlds.items()}
    gains = {name: one.search_pgr(POINT, 1) * gaps[name] for name, one in world.worlds.items()}
    seen = {
        name: pack(one.task.predictions("search", POINT.row, one.order[1], POINT.rung))
        for name, one in world.worlds.items()
    }
    graded = pooled.several.grade(pooled.several.joined(seen, "search"))
    assert graded.pgr == pytest.approx(sum(gains.values()) / sum(gaps.values()))


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["mean", "pooled"])
def test_a_campaign_trains_on_one_task_after_another(
    world: Together, tmp_path: Path, objective: Objective
) -> None:
    world = replace(world, objective=objective)
    config = Plan().config(world, seed=1, budget=16)
    campaign = Campaign(world, config, playbook(world, config), tmp_path)
    winner = campaign.run(deadline_s=16 * world.unit_s / 2)
    assert winner is not None
    trials = list(campaign.record.trials.values())
    assert sum(trial.train_s for trial in trials) <= 16 * world.unit_s
    rungs = config.search.pruning.rungs
    for trial in campaign.record.of_purpose("search"):
        row = world.points[trial.method.digest].row
        for name, one in world.worlds.items():
            there = {rungs.index(share): at for (share, on), at in trial.on_tasks.items() if on == name}
            for rung, reached in there.items():
                assert reached.pgr == pytest.approx(one.search_pgr(Point(row, rung), 0))
            seconds = one.task.seconds[row, one.order[0], : max(there, default=-1) + 1]
            assert sum(at.train_s for at in there.values()) == pytest.approx(float(seconds.sum()))
        for share, over_tasks in trial.rungs.items():
            assert over_tasks.pgr == pytest.approx(world.search_pgr(Point(row, rungs.index(share)), 0))
    assert any(trial.rungs for trial in campaign.record.of_purpose("replicate"))


def test_an_opponent_searches_on_all_of_them_at_once(world: Together) -> None:
    points = OPPONENTS["asha"].winners(world, 1, [200.0])
    assert points[0] is not None
    assert world.search_pgr(points[0], 0) > 0.3
