import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.versus_tune.figures import seconds_to_reach, summary, times
from search.ledger.events import BaselinesReady, Purpose, RungReached, TrialEnded, TrialStarted
from search.ledger.log import Ledger
from trainers.method import Method


def reached(trial: str, share: float, pgr: float | None, at: float) -> RungReached:
    return RungReached(
        at=at,
        trial=trial,
        share=share,
        predictions="00",
        accuracy=None,
        pgr=pgr,
        se=None,
        setup_s=9,
        train_s=3,
        eval_s=1,
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two trials of the search, a replicate, naive, a confirmation; four seconds of training a rung."""
    ledger = Ledger(tmp_path / "ledger.jsonl")

    def started(trial: str, purpose: Purpose, branch: str = "") -> TrialStarted:
        return TrialStarted(trial=trial, purpose=purpose, branch=branch, number=0, method=Method(), seed=0)

    def ended(trial: str, at: float) -> TrialEnded:
        return TrialEnded(at=at, trial=trial, state="completed", cause=None)

    for event in (
        BaselinesReady(at=100, weak_acc=0, weak_se=0, ceiling_acc=1, ceiling_se=0, seeds=2, train_s=50),
        started("t1", "search", "one"),
        reached("t1", 1 / 3, 0.3, at=105),
        started("t2", "search", "one"),
        reached("t2", 1.0, 0.5, at=110),
        ended("t2", 110),
        reached("t1", 1.0, 0.4, at=112),
        ended("t1", 112),
        started("r1", "replicate", "one"),
        reached("r1", 1.0, 0.6, at=120),
        ended("r1", 120),
        started("r2", "replicate"),
        reached("r2", 1.0, 0.1, at=125),
        ended("r2", 125),
        started("c1", "confirm"),
        reached("c1", 1.0, None, at=130),
        ended("c1", 130),
    ):
        ledger.append(event)
    ledger.close()
    return tmp_path


def test_a_search_is_timed_from_the_baselines_on_and_without_its_confirmation(run: Path) -> None:
    assert times(run) == {
        "search_trials": 2,
        "start_s": 1,
        "search_wall_s": 12,
        "wall_s": 20,
        "train_s": 16,
        "search_train_s": 12,
        "best_search_pgr": 0.5,
    }


@pytest.mark.parametrize(("target", "seconds"), [(0.3, 4), (0.45, 8), (0.55, None), (0.7, None)])
def test_training_seconds_until_a_score_was_reached(run: Path, target: float, seconds: float | None) -> None:
    assert seconds_to_reach(run, target) == seconds


def test_a_seed_that_never_got_there_counts_as_infinitely_long() -> None:
    def row(share: float | None, gain: float) -> dict[str, Any]:
        beside = {
            "trials_an_hour_ratio": 2.0,
            "training_share_ratio": 1.5,
            "train_s_share": share,
            "train_s_share_at_equal_time": 0.5,
            "confirmed_gain_at_equal_time": gain,
            "confirmed_gain_at_equal_trials": -gain,
            "ours_equal_time": {"wall_s": 80.0},
            "theirs": {"wall_s": 100.0},
        }
        return {"opponents": {"expert": beside}}

    told = summary([row(0.1, 0.3), row(None, -0.1), row(None, 0.1)], "expert")
    assert told["train_s_share"] == math.inf
    assert told["train_s_share_at_equal_time"] == 0.5
    # Gains of mean 0.1 and standard deviation 0.2, over three seeds: t = 0.866, of two degrees of freedom.
    gain, mirrored = told["at_equal_time"], told["at_equal_trials"]
    assert (gain["confirmed_gain"], gain["se"]) == pytest.approx((0.1, 0.2 / 3**0.5))
    assert gain["p"] == mirrored["p"] == pytest.approx(0.478, abs=0.001)
    assert (gain["seeds_with_a_gain"], mirrored["seeds_with_a_gain"]) == (2, 1)
    assert told["wall_share_at_equal_time"] == [0.8] * 3
