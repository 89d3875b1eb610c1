"""What an agent is told of the search is what runs: each sentence against the object that decides."""

from pathlib import Path
from typing import Any, get_args

import pytest

from agents.settings import ClaudeConfig, CriticConfig
from search.config.load import load_config
from search.config.rules import branches_a_round, methods_a_branch, rules
from search.config.schema import RunConfig
from search.config.search import SAMPLERS, Sampler, SearchConfig
from search.policy.allocation import AllocationConfig
from search.policy.promotion import PromotionConfig
from search.policy.pruning import PruningConfig
from search.studies.optuna_samplers import OPTUNA_SAMPLERS


def told(config: RunConfig, **changes: Any) -> str:
    return " ".join(rules(config.model_copy(update=changes)))


def searching(config: RunConfig, **changes: Any) -> SearchConfig:
    return config.search.model_copy(update=changes)


@pytest.mark.parametrize("name", get_args(Sampler))
def test_the_sampler_that_runs_is_the_one_that_is_named(config: RunConfig, name: Sampler) -> None:
    said = told(config, search=searching(config, sampler=name))
    assert f"(search.sampler = {name}): {SAMPLERS[name]}." in said
    # the classes that really run, and none of the others
    for other, make in OPTUNA_SAMPLERS.items():
        assert (type(make(0).sampler).__name__ in said) == (other == name)


def test_every_sampler_has_a_sentence() -> None:
    assert set(SAMPLERS) == set(get_args(Sampler)) == {*OPTUNA_SAMPLERS, "surrogate"}
    description = str(SearchConfig.model_fields["sampler"].description)
    assert all(says in description for says in SAMPLERS.values())


def test_rungs_and_stops_are_those_of_the_config(config: RunConfig) -> None:
    pruning = PruningConfig(rungs=(0.05, 0.4, 1.0), keep=5, doubt=0.1, min_rivals=7, min_steps=11)
    said = told(config, search=searching(config, pruning=pruning))
    assert "shares of its training: 0.05, 0.4, 1. Each is a method that may win" in said
    assert "optim.stop" in said
    assert "before 11 optimizer steps" in said
    assert "best 1/5 of its branch" in said
    assert "is at most 0.1, once 7 others" in said


def test_the_rule_of_seconds_and_the_budget(config: RunConfig) -> None:
    said = told(config, search=searching(config, trials=50, effort=0.3, max_hours=None))
    assert "at most 50 methods within 30% of the seconds" in said
    said = told(config, search=searching(config, trials=50, max_hours=2.5))
    assert "2.5 hours of training for at most 50 methods" in said
    promotion = PromotionConfig(first=20, draws=99)
    said = told(config, search=searching(config, trials=50, promotion=promotion))
    assert "per second, among 99 draws; until there are 20 scores" in said
    assert "until there are 8 scores" in told(
        config, search=searching(config, trials=16, promotion=promotion)
    )


def test_methods_a_branch_are_counted(config: RunConfig) -> None:
    search = searching(config, trials=90, round_trials=36, allocation=AllocationConfig(floor=5))
    lanes = config.model_copy(update={"search": search, "agent": ClaudeConfig(lanes=3, branches=4)})
    assert (branches_a_round(lanes), methods_a_branch(lanes)) == (12, 3.0)
    said = " ".join(rules(lanes))
    assert "A round has 36 new methods, the campaign 3 rounds." in said
    assert "12 branches a round that is 3 methods for each on average" in said
    assert "until each has 5;" in said
    one = config.model_copy(update={"search": search})
    assert methods_a_branch(one) == 36 / one.agent.branches


def test_draws_and_a_critic_are_told_where_there_are_some(config: RunConfig) -> None:
    critic = CriticConfig(model="claude-haiku-5-5", refused="drop")
    said = told(config, agent=ClaudeConfig(suggestions=0.25, critic=critic))
    assert "up to 25% of the search's." in said
    assert "What it refuses is dropped." in said
    without = config.model_copy(update={"agent": ClaudeConfig(suggestions=0.0)})
    assert "draws of your own" not in told(without)
    assert "another model reviews" not in told(without)
    assert all(rules(without))


def test_tasks_models_and_seeds(config: RunConfig) -> None:
    said = told(config)
    splits = config.task.splits
    assert f"Students learn from {splits.transfer:,} transfer examples" in said
    assert f"The {config.confirm.finalists} with the highest lower bounds" in said
    assert f"on {config.confirm.seeds} fresh seeds" in said
    assert f"standard deviation of {config.search.pruning.seed_sd:g}," in said
    assert "hidden tasks" not in said
    assert "rounded to a grid" not in said
    assert "rounded to a grid of 0.05 PGR" in told(config, search=searching(config, coarsen=0.05))
    assert "one weak supervisor" in said
    alternate = searching(config, supervisors="alternate")
    assert "Each round of branches has another weak supervisor" in told(config, search=alternate)


def test_hidden_tasks_are_counted_and_not_named() -> None:
    dev_hidden = load_config(Path("configs/hidden.yaml"), [])
    said = " ".join(rules(dev_hidden))
    assert f"There are {len(dev_hidden.hidden)} hidden tasks" in said
    assert not any(hidden.name in said for hidden in dev_hidden.hidden)


def test_a_folder_is_called_by_its_last_name() -> None:
    private = "weak.model.path=/somewhere/private/mine"
    said = " ".join(rules(load_config(Path("configs/sst2.yaml"), [private])))
    assert "The task: sst2.train.jsonl.gz, single texts." in said
    assert "a bag of words, split by the tokenizer of mine;" in said
    assert "/somewhere" not in said


def test_each_of_several_tasks_is_told() -> None:
    several = load_config(Path("configs/demo-tasks.yaml"), [])
    said = " ".join(rules(several))
    assert f"There are {len(several.tasks)} tasks." in said
    assert len(several.tasks) > 1
    assert all(f"The task {one.name}: " in said for one in several.tasks)
