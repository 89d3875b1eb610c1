import math

import numpy as np
import pytest

from search.scoring.across_tasks import mean_over_tasks, new_task_interval
from search.scoring.pgr import Estimate


def test_the_mean_of_two_tasks_by_hand() -> None:
    found = mean_over_tasks([Estimate(value=0.2, se=0.06, df=4), Estimate(value=0.4, se=0.08, df=9)])
    assert found.value == pytest.approx(0.3)
    assert found.se == pytest.approx(0.05)  # sqrt(0.06² + 0.08²) / 2
    assert found.df == pytest.approx(0.05**4 / (0.03**4 / 4 + 0.04**4 / 9))


def test_a_single_task_is_itself() -> None:
    alone = Estimate(value=0.2, se=0.06, df=4)
    assert mean_over_tasks([alone]) == pytest.approx(alone)
    assert new_task_interval([0.2]) is None


def test_tasks_without_an_error_have_a_mean_without_one() -> None:
    exact = Estimate(value=0.5, se=0.0, df=math.inf)
    assert mean_over_tasks([exact, exact]) == exact


def test_no_task_has_no_mean() -> None:
    with pytest.raises(ValueError, match="needs one at least"):
        mean_over_tasks([])


def test_the_interval_of_a_new_task_by_hand() -> None:
    low, high = new_task_interval([0.1, 0.3]) or (0.0, 0.0)
    half = 12.7062047 * math.sqrt(0.02 * 1.5)  # t(1), s² = 0.02
    assert (low, high) == pytest.approx((0.2 - half, 0.2 + half))


@pytest.mark.parametrize("tasks", [4, 8])
@pytest.mark.parametrize("between", [0.0, 0.05, 0.2])
def test_intervals_cover_what_they_say(tasks: int, between: float) -> None:
    """Of 4,000 simulated campaigns; the errors of seeds have a standard deviation of 0.1."""
    rng = np.random.default_rng(tasks)
    campaigns, error = 4000, 0.1
    truth = rng.normal(0.3, between, (campaigns, tasks + 1))
    seen = truth + rng.normal(0, error, truth.shape)
    of_these = of_a_new = 0
    for true, measured in zip(truth, seen, strict=True):
        known = [Estimate(value=value, se=error, df=1e6) for value in measured[:tasks]]
        low, high = mean_over_tasks(known).ci95
        of_these += low <= true[:tasks].mean() <= high
        low, high = new_task_interval([one.value for one in known]) or (0.0, 0.0)
        of_a_new += low <= measured[tasks] <= high
    assert of_these / campaigns == pytest.approx(0.95, abs=0.012)
    assert of_a_new / campaigns == pytest.approx(0.95, abs=0.012)
