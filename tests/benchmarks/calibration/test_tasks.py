import numpy as np
import pytest

from benchmarks.calibration.campaign import KINDS, Setting, steady
from benchmarks.calibration.tasks import CampaignOnTasks, calibration, on_a_task, verdict
from search.config.tasks import SearchedTask
from search.scoring.objective import DEFAULT, aggregate
from trainers.data.settings import ToyTask

GOOD = {
    "tasks": 4,
    "seeds": 3,
    "effect": 0.1,
    "mean_error": 0.001,
    "its_se": 0.002,
    "these_tasks": {"pgr": 0.95, "over_naive": 0.96},
    "new_task": {"from_hidden": 0.94, "from_searched": 0.8},
}


def on_two_tasks(seed: int) -> CampaignOnTasks:
    setting = Setting(seeds=3)
    tasks = tuple(SearchedTask(name=name, task=ToyTask()) for name in ("one", "two"))
    truths = [steady(np.random.default_rng([seed, i]), 1) for i in range(2)]
    config = setting.config.model_copy(update={"tasks": tasks})
    return CampaignOnTasks(config, [setting.world(seed), setting.world(seed + 1)], truths)


def test_a_trial_is_scored_by_the_objective_over_tasks() -> None:
    run = on_two_tasks(0)
    method, other = list(run._truths)[:2]
    first, second = (on.own_grader.grade(on.answer("search", method, 0)).pgr for on in run._tasks.values())
    assert run.grader.grade(run.answer("search", method, 0)).pgr == pytest.approx(
        aggregate([first, second], DEFAULT)
    )
    assert run.answer("search", other, 0) != run.answer("search", method, 0)


def test_what_is_confirmed_is_the_mean_of_what_is_confirmed_on_each_task() -> None:
    run = on_two_tasks(1)
    outcome = run.run()
    best = outcome.confirmation.finalists[0][1]
    assert best.pgr is not None
    on_each = [one.finalists[0][1].pgr for one in run.on_tasks]
    assert best.pgr.value == pytest.approx(np.mean([one.value for one in on_each if one]))
    assert abs(best.pgr.value - outcome.best.pgr) < 6 * best.pgr.se


def test_a_task_changes_a_kind_of_method_as_a_whole() -> None:
    base = steady(np.random.default_rng(0), 2)
    effects = np.arange(len(KINDS)) / 10
    there = on_a_task(base, effects)
    for method, truth in base.items():
        assert there[method].pgr - truth.pgr == pytest.approx(effects[truth.kind])
        assert there[method].kind == truth.kind


def test_the_report_has_a_row_of_each_kind() -> None:
    report = calibration(2, 0, tasks=(2,), seeds=(3,))
    [row] = report["rows"]
    assert (row["tasks"], row["seeds"], row["effect"]) == (2, 3, 0.1)
    assert all(0 <= share <= 1 for share in row["these_tasks"].values())


def test_the_verdict_names_what_is_wrong() -> None:
    assert verdict([GOOD], 400) == (
        True,
        "calibrated: over 400 campaigns of each kind, 95% intervals cover 94.0% to 96.0%",
    )
    short = GOOD | {"these_tasks": {"pgr": 0.9, "over_naive": 0.95}}
    assert verdict([short], 400)[1].startswith("NOT calibrated (pgr: 4 tasks, 3 seeds, effects of 0.1)")
    assert "biased" in verdict([GOOD | {"mean_error": 0.02}], 400)[1]
