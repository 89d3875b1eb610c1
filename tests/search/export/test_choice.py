from types import SimpleNamespace
from typing import Any

import pytest

from search.config.schema import RunConfig
from search.config.tasks import SearchedTask
from search.export.choice import choose
from search.ledger.record import Record
from trainers.components.optim import Adamw
from trainers.method import Method

BEST = Method(optim=Adamw(lr=2e-3))


def outcome(config: RunConfig) -> dict[str, Any]:
    return {
        "best": {"method": BEST.model_dump(), "pgr": 0.5},
        "finalists": [{"method": BEST.model_dump(), "pgr": 0.5}],
        "naive": {"method": config.naive.model_dump(), "pgr": 0.1},
    }


@pytest.fixture
def record(config: RunConfig, events: SimpleNamespace) -> Record:
    """A search trial that was best at a third, a failed one, and one of the confirmation."""
    first = config.confirm_seeds()[0]
    return Record.of(
        [
            events.run_started(),
            events.started("t1"),
            events.reached("t1", 1 / 3, 0.6),
            events.reached("t1", 1.0, 0.4),
            events.ended("t1"),
            events.started("t2", lr=5e-3),
            events.ended("t2", "failed", "the loss is nan"),
            events.started("c1", purpose="confirm", method=BEST, seed=first, number=None),
            events.reached("c1", 1.0, None),
            events.ended("c1"),
            events.started("h1", purpose="hidden", task="topics", number=None),
        ]
    )


def test_best_is_that_of_the_outcome_with_the_first_seed_of_the_confirmation(
    config: RunConfig, record: Record
) -> None:
    chosen = choose(config, record, outcome(config), "best")
    assert (chosen.method, chosen.seed, chosen.split) == (BEST, config.confirm_seeds()[0], "test")
    assert chosen.trial is record.trials["c1"]
    assert chosen.rung is record.trials["c1"].last
    assert chosen.row is not None
    assert chosen.row["pgr"] == 0.5


def test_another_seed_of_the_confirmation_has_no_trial_here(config: RunConfig, record: Record) -> None:
    second = config.confirm_seeds()[1]
    chosen = choose(config, record, outcome(config), "best", second)
    assert (chosen.seed, chosen.trial, chosen.rung) == (second, None, None)


def test_naive_needs_no_outcome(config: RunConfig, record: Record) -> None:
    assert choose(config, record, None, "naive").method == config.naive


def test_a_search_trial_is_the_method_that_stops_at_its_best_rung(config: RunConfig, record: Record) -> None:
    chosen = choose(config, record, None, "t1")
    assert chosen.method.optim.stop == pytest.approx(1 / 3)
    assert (chosen.seed, chosen.split) == (10_000, "search")
    assert chosen.rung is record.trials["t1"].rungs[1 / 3]


def test_a_trial_of_the_confirmation_has_its_row(config: RunConfig, record: Record) -> None:
    chosen = choose(config, record, outcome(config), "c1")
    assert (chosen.method, chosen.split) == (BEST, "test")
    assert chosen.row == {"method": BEST.model_dump(), "pgr": 0.5}


def test_of_several_tasks_the_row_is_that_of_the_first(config: RunConfig, events: SimpleNamespace) -> None:
    tasks = tuple(SearchedTask(name=name, task=config.task) for name in ("a", "b"))
    searched, mean = config.model_copy(update={"tasks": tasks}), outcome(config)
    of_tasks = [
        {"name": name, "finalists": [mean["best"] | {"pgr": pgr}], "naive": mean["naive"] | {"pgr": -pgr}}
        for name, pgr in (("a", 0.7), ("b", 0.3))
    ]
    none = Record.of([events.run_started()])
    for name, own, over in (("best", 0.7, 0.5), ("naive", -0.7, 0.1)):
        chosen = choose(searched, none, mean | {"tasks": of_tasks}, name)
        assert chosen.task == "a"
        assert chosen.row is not None
        assert chosen.over_tasks is not None
        assert (chosen.row["pgr"], chosen.over_tasks["pgr"]) == (own, over)
    assert choose(searched, none, mean | {"tasks": None}, "best").row is None  # of an earlier version


@pytest.mark.parametrize(("times", "said"), [(1, False), (2, True)])
def test_that_the_test_split_was_opened_before_is_known(
    config: RunConfig, record: Record, times: int, said: bool
) -> None:
    by = [{"run": name} for name in ("old", "mine")[-times:]]
    opened = outcome(config) | {"test_split": {"opened": times, "by": by}}
    chosen = choose(config, record, opened, "best")
    assert chosen.openings == ("the test split has been opened 2 times, by old, mine" if said else "")


@pytest.mark.parametrize(
    ("name", "seed", "problem"),
    [
        ("best", None, "no outcome yet"),
        ("naive", 5, "--seed 5: must be a seed of the confirmation"),
        ("t1", 5, "--seed 5: the trial t1 has seed 10000"),
        ("t2", None, r"--method t2: this trial has no result \(the loss is nan\)"),
        ("h1", None, "--method h1: this trial learned the hidden task topics"),
        ("t9", None, "--method t9: the run has no such trial"),
    ],
)
def test_what_cannot_be_exported_is_said(
    config: RunConfig, record: Record, name: str, seed: int | None, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        choose(config, record, None, name, seed)
