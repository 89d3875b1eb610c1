import math
from typing import Any

import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from benchmarks.versus_tune.__main__ import CONFIG
from benchmarks.versus_tune.expert import AGAIN, FURTHER_SEEDS, Tpe
from search.config.load import load_config
from search.config.schema import RunConfig


@pytest.fixture
def config() -> RunConfig:
    return load_config(CONFIG)


def report(searcher: Tpe, name: str, given: dict[str, Any], ninths: int, accuracy: float) -> dict[str, Any]:
    result = {"accuracy": accuracy, "ninths": ninths, "train_s": 1.0}
    searcher.report(name, given, result)
    return result


def test_the_sampler_hears_how_each_trial_ended(config: RunConfig) -> None:
    searcher = Tpe(config, 3)
    given = {name: searcher.suggest(name) for name in "abc"}
    report(searcher, "a", given["a"], 1, 0.7)
    report(searcher, "a", given["a"], 3, 0.8)
    searcher.on_trial_complete("a", report(searcher, "a", given["a"], 9, 0.9))
    searcher.on_trial_complete("b", report(searcher, "b", given["b"], 1, 0.6))
    searcher.on_trial_complete("c", report(searcher, "c", given["c"], 9, math.nan))
    assert [trial.state for trial in searcher._study.trials] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
    ]
    assert searcher._study.trials[0].intermediate_values == {1: 0.7, 3: 0.8, 9: 0.9}
    assert searcher._study.trials[1].intermediate_values == {1: 0.6}
    assert searcher.counts() == {"trials": 3, "stopped_early": 1, "failed": 1}
    assert sum(searcher.train_s) == 5


def test_the_best_completed_are_trained_again_and_the_highest_mean_wins(config: RunConfig) -> None:
    searcher = Tpe(config, AGAIN + 2)
    names = [f"t{place}" for place in range(AGAIN + 2)]
    given = {name: searcher.suggest(name) for name in names}
    assert searcher.suggest("early") is None  # some still run
    for place, name in enumerate(names):
        # The last has the highest accuracy, but was stopped: it is not among those to choose from.
        ninths = 3 if name == names[-1] else 9
        searcher.on_trial_complete(name, report(searcher, name, given[name], ninths, 0.6 + place / 100))
    again: list[dict[str, Any]] = []
    while (one := searcher.suggest(f"again-{len(again)}")) != Searcher.FINISHED:
        again.append(one)
    expected = [given[name]["method"] for name in reversed(names[1:-1]) for _ in range(FURTHER_SEEDS)]
    assert [one["method"] for one in again] == expected
    assert len({one["seed"] for one in again} | {given["t0"]["seed"]}) == FURTHER_SEEDS + 1
    for place, one in enumerate(again):
        report(searcher, f"again-{place}", one, 9, 0.9 if one["method"] == given[names[1]]["method"] else 0.5)
    assert searcher.best() == (given[names[1]]["method"], pytest.approx((0.61 + 2 * 0.9) / 3))
