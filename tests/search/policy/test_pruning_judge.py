import numpy as np
import pytest

from search.policy.pruning import Judge, Judgement, PruningConfig

CONFIG = PruningConfig(rungs=(0.5, 1.0), min_rivals=2, doubt=0.2)
GAP = 0.2


def right_on(count: int) -> np.ndarray:
    return np.arange(1000) < count


def test_a_trial_is_beside_those_that_reached_its_rung_before_it() -> None:
    judge = Judge(CONFIG, GAP)
    assert not judge.any_rung_reached
    looks = [judge.judge("one", 0, right_on(count), 0.0) for count in (900, 800, 700, 850)]
    assert judge.any_rung_reached
    assert looks == [
        Judgement(decision="pause", rivals=0),
        Judgement(decision="pause", rivals=1),
        Judgement(decision="stop", rivals=2),
        Judgement(decision="stop", rivals=3),  # behind the best: one of four is kept
    ]


@pytest.mark.parametrize("elsewhere", [("one", 1), ("two", 0)])
def test_each_rung_and_each_branch_has_its_own_rivals(elsewhere: tuple[str, int]) -> None:
    judge = Judge(CONFIG, GAP)
    for _ in range(3):
        judge.judge("one", 0, right_on(900), 0.0)
    assert judge.judge(*elsewhere, right_on(100), 0.0) == Judgement(decision="pause", rivals=0)
    assert judge.judge("one", 0, right_on(100), 0.0) == Judgement(decision="stop", rivals=3)


def test_the_same_distance_is_within_the_spread_of_seeds_or_beyond_it() -> None:
    # Twenty of 1,000 behind: 0.1 PGR; examples alone give a variance of 0.00049. With seeds of 0.02 the
    # chance is that of z = 0.1 / sqrt(0.00049 + 2 * 0.0004) = 2.8, with seeds of 0.1 of z = 0.7.
    for spread, decision in ((0.02, "stop"), (0.1, "pause")):
        judge = Judge(CONFIG, GAP)
        for count in (720, 720):
            judge.judge("one", 0, right_on(count), spread**2)
        assert judge.judge("one", 0, right_on(700), spread**2).decision == decision
