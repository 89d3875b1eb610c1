import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.table.__main__ import main
from benchmarks.table.data import Table, save
from benchmarks.table.left_out import (
    LONGER,
    NAMES,
    OURS,
    OURS_BY_MEAN,
    cost_summary,
    costs,
    left_out,
    rank_correlations,
    summary,
    times_needed,
    unit_s,
    worth,
)
from benchmarks.table.world import Point, World


def test_a_unit_is_a_training_of_one_task(made_up: Table) -> None:
    assert unit_s(made_up) == pytest.approx(9.0)


def test_a_winner_that_fails_later_is_worth_the_weak_floor(made_up: Table) -> None:
    reviews = made_up.tasks["reviews"]
    broken = replace(reviews, failed=np.ones_like(reviews.failed))
    world = World.of(replace(made_up, tasks={"reviews": broken}), "reviews", 0)
    assert worth(world, Point(3, 2)) == 0.0


def test_ranks_of_tasks_on_which_rows_are_worth_the_same_correlate(made_up: Table) -> None:
    found = rank_correlations(made_up)
    assert found["reviews"]["quarrels"] == found["quarrels"]["reviews"] > 0.8
    opposite = replace(made_up.tasks["quarrels"], test=~made_up.tasks["quarrels"].test)
    other = rank_correlations(replace(made_up, tasks={**made_up.tasks, "quarrels": opposite}))
    assert other["reviews"]["quarrels"] == pytest.approx(-found["reviews"]["quarrels"], abs=0.01)
    assert other["quarrels"]["quarrels"] > 0.8  # with itself, between halves of the seeds


def test_gains_are_paired_by_campaign_and_means_are_over_tasks() -> None:
    figures = np.zeros((3, 2, len(NAMES), 1))
    of_campaign = np.array([0.1, 0.3, 0.5])
    figures[:, 0, NAMES.index("ours_on_all"), 0] = of_campaign + 0.2
    figures[:, 0, NAMES.index("ours_on_one"), 0] = of_campaign
    figures[:, 1, NAMES.index("ours_on_all"), 0] = 0.1
    told = summary(["a", "b"], figures)
    assert list(told["left_out"]) == ["a", "b"]
    row = told["left_out"]["a"]["ours_on_one"]
    assert (row["confirmed_pgr"], row["se"]) == ([0.3], [0.1155])
    assert (row["ours_on_all_ahead"], row["ours_on_all_ahead_se"]) == ([0.2], [0.0])
    assert told["mean"]["ours_on_all"]["confirmed_pgr"] == [0.3]
    assert told["mean"]["ours_on_one"]["ours_on_all_ahead"] == [0.15]


def test_the_seconds_that_a_score_takes_are_between_those_measured() -> None:
    assert times_needed([0.2, 0.4, 0.5, 0.6], 0.1) == 1.0
    assert times_needed([0.2, 0.4, 0.5, 0.6], 0.3) == 1.25
    assert times_needed([0.2, 0.4, 0.5, 0.6], 0.6) == 3.0
    assert times_needed([0.2, 0.4, 0.5, 0.6], 0.7) is None


def test_costs_are_told_by_either_aim() -> None:
    figures = np.zeros((2, 3, 2 + len(LONGER), 1))
    figures[:, :, :, 0] = [0.5, 0.3, 0.3, 0.4, 0.5, 0.6]
    told = cost_summary(figures)
    assert told["times_the_seconds_of_its_own"] == [2.0]
    assert told["times_the_seconds_of_all"] == [1.0]
    assert told["on_all_3x"]["confirmed_pgr"] == [0.6]


@pytest.mark.slow
def test_every_way_finds_something_where_it_did_not_look(
    made_up: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "three.npz"
    save(path, made_up)
    command = ["tasks", str(path), "--campaigns", "1", "--budgets", "12", "--processes", "1", "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["budgets"] == [12]
    assert list(found["left_out"]) == ["reviews", "quarrels", "verdicts"]
    assert list(found["mean"]) == list(NAMES)
    means = {name: row["confirmed_pgr"][0] for name, row in found["mean"].items()}
    for name in ("ours_on_all", "asha_on_all"):
        assert means[name] > means["naive"]  # rows are worth much the same on all tasks


@pytest.mark.slow
def test_campaigns_go_by_the_score_that_is_named(made_up: Table) -> None:
    by_mean = left_out(made_up, 1, [12], "mean")[:, [NAMES.index(OURS), NAMES.index(OURS_BY_MEAN)], 0]
    assert by_mean[:, 0].tolist() == by_mean[:, 1].tolist()


@pytest.mark.slow
def test_costs_are_measured_on_every_task_left_out(made_up: Table) -> None:
    found = costs(made_up, 1, [2])
    assert found.shape == (3, 2 + len(LONGER), 1)
    assert np.isfinite(found).all()


def test_a_table_of_one_task_is_told_in_one_line(
    made_up: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "one.npz"
    save(path, replace(made_up, tasks={"reviews": made_up.tasks["reviews"]}))
    assert main(["tasks", str(path)]) == 2
    assert "has 1 tasks (reviews)" in capsys.readouterr().err
