from typing import Any

import numpy as np
import pytest

from benchmarks.calibration.__main__ import believed, chosen, rejected, verdict
from benchmarks.calibration.campaign import PLANS, Setting, campaigns, fragile, null, steady
from benchmarks.calibration.world import GAP, WEAK, Truth, World


def test_the_worlds_truth_is_true() -> None:
    """Accuracies over many worlds come out as they were set, and PGR spreads over seeds as it should."""
    weak, students = [], []
    for seed in range(60):
        world = World(seed, supervisors=8, sizes={"test": 1000})
        split = world.splits["test"]
        weak.append((world.baselines("test", 2).weak == split.truth).mean())
        students += [
            (world.predictions("test", "ab", Truth(kind=0, pgr=0.5), seed) == split.truth).mean()
            for seed in range(8)
        ]
    assert np.mean(weak) == pytest.approx(WEAK, abs=0.006)
    assert np.mean(students) == pytest.approx(WEAK + 0.5 * GAP, abs=0.006)
    spread = np.mean([np.std(students[8 * i : 8 * i + 8], ddof=1) for i in range(60)]) / GAP
    assert spread == pytest.approx(0.08, abs=0.02)  # chance on examples adds a little to what seeds do


def test_a_collapsed_student_is_right_half_the_time() -> None:
    truth = Truth(kind=0, pgr=0.5, collapses=1.0)
    world = World(0, supervisors=2, sizes={"test": 10_000})
    right = world.predictions("test", "ab", truth, 0) == world.splits["test"].truth
    assert right.mean() == pytest.approx(0.5, abs=0.02)
    assert truth.mean_pgr == pytest.approx((0.5 - 0.72) / 0.23)


@pytest.mark.slow
def test_what_is_confirmed_can_be_believed_and_what_was_searched_cannot() -> None:
    table = believed(campaigns(steady, Setting(replication=PLANS["6 methods on 3 seeds"]), 40, seed=1))
    for name in ("best", "naive", "over_naive"):
        assert abs(table[name]["mean_error"]) < 3 * table[name]["its_se"]
        assert table[name]["coverage95"] >= 0.85
    assert table["highest_search_score"]["mean_error"] > 4 * table["highest_search_score"]["its_se"]
    assert table["search_pgr_of_best"]["mean_error"] < table["highest_search_score"]["mean_error"]


@pytest.mark.slow
def test_what_suits_the_search_s_supervisors_is_not_believed() -> None:
    """Methods suit supervisors differently by .25 of PGR; fresh supervisors leave no bias of .09."""
    table = believed(campaigns(steady, Setting(interaction=0.25, seeds=5), 40, seed=1))
    assert abs(table["best"]["mean_error"]) < 3 * table["best"]["its_se"] < 0.1
    assert table["search_pgr_of_best"]["mean_error"] > 0.1
    for name in ("best", "naive", "over_naive"):
        assert table[name]["coverage95"] >= 0.85


@pytest.mark.parametrize("hard", [{"interaction": 0.25}, {"skewed": True, "seed_sd": 0.15}])
def test_the_truth_is_true_where_it_is_hard(hard: dict[str, Any]) -> None:
    """Means over many worlds, supervisors and seeds; the spread between seeds is that asked for."""
    worlds = [World(seed, supervisors=8, sizes={"test": 300}, **hard) for seed in range(150)]
    right = np.array(
        [
            [
                (world.predictions("test", "ab", Truth(kind=0, pgr=0.5), seed) == world.splits["test"].truth)
                for seed in range(8)
            ]
            for world in worlds
        ]
    )
    assert right.mean() == pytest.approx(WEAK + 0.5 * GAP, abs=0.006)
    means = right.mean(axis=2)
    chance = means.mean() * (1 - means.mean()) / 300 * 0.7  # most of it is the examples', shared by seeds
    spread = np.sqrt(means.var(axis=1, ddof=1).mean() - chance) / GAP
    asked = np.hypot(hard.get("interaction", 0.0), hard.get("seed_sd", 0.08))
    assert spread == pytest.approx(asked, rel=0.15)


@pytest.mark.slow
def test_nothing_beats_naive_where_nothing_is_better() -> None:
    assert (
        rejected(campaigns(null, Setting(replication=PLANS["1 seed"]), 40, seed=1))["below_5_percent"] <= 0.15
    )


@pytest.mark.slow
def test_further_seeds_find_the_fragile_out() -> None:
    one, default = (
        chosen(campaigns(fragile, Setting(replication=PLANS[plan]), 12, seed=1))
        for plan in ("1 seed", "default")
    )
    assert default["fragile_named_best"] < one["fragile_named_best"] - 0.3
    assert default["regret"] < one["regret"]


def test_the_verdict_names_what_is_wrong() -> None:
    def report(**best: float) -> dict[str, Any]:
        return {
            "campaigns": 400,
            "steady": {
                "best": {"mean_error": 0.001, "its_se": 0.001, "coverage95": 0.95} | best,
                "highest_search_score": {"mean_error": 0.1, "its_se": 0.01},
            },
            "supervisors": {"few": {"best": {"mean_error": 0.01, "its_se": 0.004, "coverage95": 0.95}}},
            "null": {"below_5_percent": 0.05},
        }

    assert verdict(report())[0]
    sound, line = verdict(report(mean_error=0.01, coverage95=0.9))
    assert not sound
    assert line.startswith("NOT calibrated (biased: steady, coverage: steady): over 400 campaigns")
