from types import SimpleNamespace

import pytest

from search.ledger.events import TaskBaselines
from search.policy.pruning import PruningConfig, seed_variance

OF_A_TASK = {"weak_acc": 0.5, "weak_se": 0, "ceiling_acc": 0.9, "ceiling_se": 0, "examples": 9}
CONFIG = PruningConfig(seed_sd=0.1)


def test_where_nothing_is_known_the_configured_spread_stands(events: SimpleNamespace) -> None:
    assert seed_variance(CONFIG, None) == pytest.approx(0.01)
    of_an_older_ledger = events.baselines()
    assert seed_variance(CONFIG, of_an_older_ledger) == pytest.approx(0.01)


def test_floor_and_ceiling_move_it_and_replicates_move_it_further(events: SimpleNamespace) -> None:
    floors = events.baselines(seed_variance=0.04, seed_free=8)
    assert seed_variance(CONFIG, floors) == pytest.approx(0.025)  # eight degrees of freedom each
    # Sixteen more, of replicates with a variance of 0.0025: (8 * 0.01 + 8 * 0.04 + 0.04) / 32.
    assert seed_variance(CONFIG, floors, squares=0.04, degrees_of_freedom=16) == pytest.approx(0.01375)


def test_the_mean_over_tasks_varies_less_than_the_score_on_one(events: SimpleNamespace) -> None:
    tasks = tuple(TaskBaselines(name=name, **OF_A_TASK) for name in "abcd")
    floors = events.baselines(seed_variance=0.002, seed_free=8, tasks=tasks)
    assert seed_variance(CONFIG, events.baselines(tasks=tasks)) == pytest.approx(0.0025)
    assert seed_variance(CONFIG, floors) == pytest.approx(0.00225)  # the floors' is that of the mean already
