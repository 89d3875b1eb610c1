from collections.abc import Callable

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage

from agents.language.proposal import Branch
from search.studies.sampler import MethodSampler, sampled
from search.studies.space import suggest
from trainers.method import Method


def new_study(sampler: MethodSampler) -> optuna.Study:
    return optuna.create_study(storage=InMemoryStorage(), sampler=sampler, direction="maximize")


def test_a_trial_takes_the_draw_that_was_chosen(branch: Callable[..., Branch]) -> None:
    sampler = MethodSampler(seed=0)
    study = new_study(sampler)
    for _ in range(5):
        draw = sampler.draw(branch("one"), Method(), None)
        sampler.draw(branch("one"), Method(), None)  # looked at, not chosen
        sampler.choose(draw)
        trial = study.ask()
        assert suggest(trial, branch("one"), Method()) == draw.method
        assert trial.params == draw.params


def test_without_a_choice_it_is_a_random_sampler_that_optuna_can_run(branch: Callable[..., Branch]) -> None:
    study = new_study(MethodSampler(seed=0))
    losses = []

    def objective(trial: optuna.Trial) -> float:
        method = suggest(trial, branch("one"), Method())
        losses.append(method.loss.kind)
        return method.optim.lr

    study.optimize(objective, n_trials=60)
    lrs = [trial.value for trial in study.trials]
    assert 20 <= losses.count("xent") <= 40
    assert all(1e-4 <= lr <= 1.1e-2 for lr in lrs)
    assert 20 <= sum(lr < 1e-3 for lr in lrs) <= 40  # half of a log range lies below its geometric middle


def test_a_number_near_another_is_a_normal_step_away() -> None:
    rng = np.random.default_rng(0)
    values = [sampled(rng, FloatDistribution(0.0, 10.0), near=5) for _ in range(2000)]
    assert np.mean(values) == pytest.approx(5, abs=0.1)
    assert np.std(values) == pytest.approx(1, abs=0.05)
    logs = [sampled(rng, FloatDistribution(1e-4, 1.0, log=True), near=1e-2) for _ in range(2000)]
    assert np.std(np.log10(logs)) == pytest.approx(0.4, abs=0.02)


def test_a_choice_near_another_stays_four_times_in_five() -> None:
    rng = np.random.default_rng(0)
    values = [sampled(rng, CategoricalDistribution(("a", "b")), near="a") for _ in range(2000)]
    assert values.count("a") / 2000 == pytest.approx(
        0.9, abs=0.02
    )  # and half of the fifth that does not stay


def test_whole_numbers_are_as_likely_at_the_ends() -> None:
    rng = np.random.default_rng(0)
    values = [sampled(rng, IntDistribution(3, 5), near=None) for _ in range(3000)]
    counts = [values.count(value) for value in (3, 4, 5)]
    assert sum(counts) == 3000
    assert all(count == pytest.approx(1000, abs=100) for count in counts)


@pytest.mark.parametrize("near", [None, "a", -1.0, 1e9])
def test_what_lies_elsewhere_leaves_a_value_in_range(near: object) -> None:
    rng = np.random.default_rng(0)
    assert 1e-3 <= sampled(rng, FloatDistribution(1e-3, 1.0, log=True), near) <= 1.0
    assert sampled(rng, CategoricalDistribution((1, 2)), near) in (1, 2)


def test_the_seed_decides(branch: Callable[..., Branch]) -> None:
    one, same, other = (MethodSampler(seed).draw(branch("one"), Method(), None) for seed in (1, 1, 2))
    assert one.method == same.method != other.method
