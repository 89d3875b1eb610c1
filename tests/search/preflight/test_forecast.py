"""Predicted seconds, worked out by hand."""

from pathlib import Path

import pytest

from search.config.load import load_config
from search.config.schema import RunConfig
from search.config.tasks import HiddenTask
from search.preflight.forecast import (
    baseline_s,
    hidden_phases,
    naive_s,
    over_tasks,
    part_of,
    phases,
    priced,
    steps_of,
)
from search.preflight.speed import Speed
from trainers.components.students import Lora
from trainers.data.settings import ToyTask

REPO = Path(__file__).parents[3]
SPEED = Speed(load_s=2.0, start_s=1.0, step_s=0.1, row_s=0.01)


def config(*more: str) -> RunConfig:
    settings = [
        "task.splits={weak_train: 64, transfer: 100, search: 50, test: 150}",
        "weak.optim={epochs: 2, batch_size: 32}",
        "strong.optim={epochs: 3, batch_size: 32}",
        "baselines.seeds=2",
        "search={trials: 10, round_trials: 5, effort: 0.5}",
        "replication={methods: 4, seeds: 3}",
        "confirm={finalists: 2, seeds: 5}",
    ]
    return load_config(REPO / "configs/dev.yaml", [*settings, *more])


def test_steps_and_seconds_of_baselines() -> None:
    run = config()
    assert (steps_of(run.weak, 64), steps_of(run.strong, 100)) == (4, 12)  # a batch of 4 is a step, too
    # load 2, start 1, 4 steps of 0.1, 200 predictions of 0.01
    assert baseline_s(run.weak, SPEED, learned=64, predicted=200, trainings=3) == pytest.approx(3 * 5.4)


def test_frozen_features_are_computed_once_for_all_seeds() -> None:
    run = config("weak.student={kind: bag_of_words}")
    whole = baseline_s(run.weak, SPEED, learned=64, predicted=200, trainings=3)
    assert whole == pytest.approx(3 * 3.4 + 264 * 0.01)
    assert baseline_s(run.weak, SPEED, learned=64, predicted=200, trainings=0) == 0


def test_a_trial_of_naive_needs_no_loading() -> None:
    assert naive_s(config(), SPEED, predicted=50) == pytest.approx(1 + 12 * 0.1 + 50 * 0.01)
    assert naive_s(config("strong.student={kind: probe}"), SPEED, predicted=50) == pytest.approx(2.2)


def test_naive_is_priced_at_what_it_takes_and_longer_methods_above() -> None:
    run = config()
    longer = run.naive.model_copy(update={"optim": run.naive.optim.model_copy(update={"epochs": 6.0})})
    own, more = priced(run, SPEED, [run.naive, longer])
    assert own == pytest.approx(naive_s(run, SPEED, predicted=50))
    assert own < more < 2 * own


def test_the_phases_of_a_run_of_naive_alone() -> None:
    run = config()
    of_naive = 2.7
    found = {phase.name: (phase.trainings, phase.train_s) for phase in phases(run, SPEED, SPEED, [run.naive])}
    # 2 + 5 weak supervisors of 3 + 0.4 + 300 rows; 2 ceilings of 3 + 1.2 + 200 rows
    assert found["baselines"] == (9, pytest.approx(7 * 6.4 + 2 * 6.2))
    assert found["search"] == (10, pytest.approx(0.5 * 10 * of_naive))
    assert found["replication"] == (9, pytest.approx(9 * of_naive))  # 4, then 2; naive on three seeds
    assert found["confirmation"] == (15, pytest.approx(5 * (3.7 + 2 * of_naive)))


def test_features_that_no_ceiling_computes_are_computed_by_trials() -> None:
    run = config("strong.student={kind: probe}", "strong.optim={lr: 0.01, epochs: 3, batch_size: 32}")
    due, cached = (
        {phase.name: phase.train_s for phase in phases(run, SPEED, SPEED, [run.naive], cached=count)}
        for count in (run.weak_models, run.weak_models + run.baselines.seeds)
    )
    assert cached["baselines"] == 0
    assert cached["search"] - due["search"] == pytest.approx((100 + 50) * 0.01)
    assert cached["replication"] == due["replication"]
    assert cached["confirmation"] - due["confirmation"] == pytest.approx(150 * 0.01)


def test_hours_that_are_given_are_those_of_the_search_and_what_is_cached_costs_nothing() -> None:
    run = config("search.max_hours=0.5", "replication={effort: 0.5, seeds: 3}")
    found = {phase.name: phase for phase in phases(run, SPEED, SPEED, [run.naive], cached=9)}
    assert found["search"].train_s == 1800
    assert found["replication"].train_s == pytest.approx(900 + 3 * 2.7)  # and naive on three seeds
    assert found["baselines"].train_s == 0


def test_workers_start_for_baselines_that_are_due_for_the_search_and_twice_on_a_hidden_task() -> None:
    run = config()
    due, cached = (phases(run, SPEED, SPEED, [run.naive], cached=count) for count in (8, 9))
    assert [phase.starts for phase in due] == [1, 1, 0, 0]
    assert [phase.starts for phase in cached] == [0, 1, 0, 0]
    assert [phase.starts for phase in over_tasks([due, cached])] == [1, 1, 0, 0]
    there = run.model_copy(update={"hidden": (HiddenTask(name="other", task=run.task),)})
    assert [phase.starts for phase in hidden_phases(there, SPEED, SPEED, [run.naive])] == [2]


def test_hidden_tasks_have_baselines_and_a_confirmation_of_their_own() -> None:
    run = config()
    hidden = HiddenTask(name="other", task=ToyTask(seed=1, splits=run.task.splits))
    with_one = run.model_copy(update={"hidden": (hidden,)})
    own = phases(with_one, SPEED, SPEED, [run.naive])
    of = {phase.name: phase for phase in (*own, *hidden_phases(with_one, SPEED, SPEED, [run.naive]))}
    assert of["hidden other"].trainings == of["baselines"].trainings + of["confirmation"].trainings
    assert of["hidden other"].train_s == pytest.approx(of["baselines"].train_s + of["confirmation"].train_s)


def test_over_tasks_trainings_and_seconds_add_up_and_hours_are_shared() -> None:
    run = config()
    alone = phases(run, SPEED, SPEED, [run.naive])
    for one, both in zip(alone, over_tasks([alone, alone]), strict=True):
        assert (both.name, both.trainings) == (one.name, 2 * one.trainings)
        assert both.train_s == pytest.approx(2 * one.train_s)
    assert part_of(run, 2) == run
    timed = part_of(config("search.max_hours=0.5"), 2)
    assert over_tasks([phases(timed, SPEED, SPEED, [run.naive])] * 2)[1].train_s == 1800


def test_another_kind_of_student_is_priced_by_a_forward_pass() -> None:
    run = config("strong.student={kind: probe}")
    adapted = run.naive.model_copy(update={"student": Lora()})
    (seconds,) = priced(run, SPEED, [adapted])
    # 12 steps of 100 examples in 3 epochs at 2.3 passes each and 2 a step, 50 predictions, 50 to start
    assert seconds == pytest.approx(0.01 * (2.3 * 12 * 32 + 2 * 12 + 50 + 50), rel=0.1)
