"""What W&B is told, worked out by hand; that wandb passes it on is tested in test_tracking.py."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from agents.language.proposal import Branch
from search.ledger.events import AnyEvent, Finished, Proposed, TaskBaselines, TrialPaused
from search.ledger.record import Record
from search.tracking.payloads import (
    FINALISTS,
    baselines_config,
    campaign_row,
    describe,
    escape_markdown,
    finalist_rows,
    findings,
    flat,
    outcome_summary,
    plain,
    search_score,
    trial_row,
    trial_table,
)
from tests.search.tracking.conftest import OUTCOME
from trainers.components.losses import LogConf
from trainers.components.optim import Adamw
from trainers.method import Method


def tracked(*events: AnyEvent) -> Record:
    known = Record()
    for event in events:
        known.apply(event)
    return known


@pytest.fixture
def opened(
    branch: Callable[..., Branch], proposal: Callable[..., object], events: SimpleNamespace
) -> list[AnyEvent]:
    return [
        events.run_started(),
        events.baselines(),
        Proposed(round=3, proposal=proposal(branch("one"), branch("two", parent="one")), seconds=1),
    ]


def test_parameters_have_the_names_that_optuna_uses() -> None:
    values = flat(Method(loss=LogConf(aux=0.25), optim=Adamw(lr=2e-3)).model_dump(mode="json"))
    assert (values["loss.kind"], values["loss.logconf.aux"]) == ("logconf", 0.25)
    assert values["optim.adamw.lr"] == 2e-3
    assert values["select.kind"] == "all"
    assert "loss.xent" not in values


def test_a_confirmation_is_of_the_branch_of_its_method_and_naive_of_none(
    opened: list[AnyEvent], events: SimpleNamespace
) -> None:
    confirming = {"purpose": "confirm", "branch": "", "number": None}
    known = tracked(
        *opened,
        events.started("t1", branch="two", lr=2e-3),
        events.started("c1", lr=2e-3, **confirming),
        events.started("c2", lr=5e-3, **confirming),
    )
    first, second, third = (describe("id", known, trial) for trial in known.trials.values())
    assert (first.id, first.name, first.group, first.job_type) == ("id-t1", "t1 two", "round-003", "search")
    assert (first.tags, second.tags, third.tags) == (("two", "loss"), ("two", "loss"), ("naive",))
    assert (second.group, third.group) == ("confirmation", "confirmation")
    assert (third.name, third.notes) == ("c2 naive", "")


def test_a_promoted_trial_has_a_row_of_each_rung(opened: list[AnyEvent], events: SimpleNamespace) -> None:
    first, last = events.reached("t1", 1 / 3, 0.25), events.reached("t1", 1.0, 0.5)
    started = events.started("t1")
    known = tracked(*opened, started, first, TrialPaused(trial="t1"), started, last)
    trial = known.trials["t1"]
    assert [trial_row(known, trial, index)["pgr"] for index in range(len(trial.rungs))] == [0.25, 0.5]


def test_a_row_of_a_trial_adds_up_its_seconds_and_a_sealed_one_has_no_score(
    opened: list[AnyEvent], events: SimpleNamespace
) -> None:
    known = tracked(
        *opened,
        events.started("t1"),
        events.reached("t1", 1 / 3, 0.25),
        events.reached("t1", 1.0, 0.5),
        events.started("c1", purpose="confirm"),
        events.reached("c1", 1.0, None),
    )
    row = trial_row(known, known.trials["t1"], 1)
    assert row == {
        "share": 1.0,
        "train_s": 6.0,
        "pgr": 0.5,
        "pgr_se": 0.1,
        "accuracy": 0.8,
        "weak_acc": 0.6,
        "ceiling_acc": 0.9,
        "weak_pgr": 0.0,
        "ceiling_pgr": 1.0,
    }
    assert trial_row(known, known.trials["c1"], 0) == {"share": 1.0, "train_s": 3.0}


def test_of_several_tasks_each_has_a_metric_and_its_floors(
    opened: list[AnyEvent], events: SimpleNamespace
) -> None:
    floors = {"weak_acc": 0.6, "weak_se": 0.01, "ceiling_acc": 0.9, "ceiling_se": 0.02}
    tasks = tuple(TaskBaselines(name=name, examples=10, **floors) for name in ("a", "b"))
    reached = [
        one for share in (1 / 3, 1.0) for one in events.reached_on("t1", {"a": share, "b": 0.0}, share)
    ]
    known = tracked(*opened, events.baselines(tasks=tasks), events.started("t1"), *reached)
    row = trial_row(known, known.trials["t1"], 1)
    assert {name: row[name] for name in ("pgr", "pgr/a", "pgr/b")} == {"pgr": 0.5, "pgr/a": 1.0, "pgr/b": 0.0}
    assert trial_row(known, known.trials["t1"], 0)["pgr/a"] == 1 / 3
    found = baselines_config(known)["tasks_baselines"]
    assert found == {name: floors | {"search_examples": 10} for name in ("a", "b")}
    assert baselines_config(tracked(*opened)) == {}


def test_the_outcome_has_naive_and_the_best_on_each_task() -> None:
    finalists = [{"trial": "t1", "pgr": 0.4}, {"trial": "t2", "pgr": 0.5}]
    task = {"name": "a", "naive": {"pgr": 0.1}, "finalists": finalists}
    outcome = OUTCOME | {"finalists": finalists}
    found = outcome_summary(outcome | {"tasks": [task, task | {"name": "b", "naive": {"pgr": None}}]})
    assert found["tasks"] == {
        "a": {"naive_pgr": 0.1, "best_pgr": 0.4},
        "b": {"naive_pgr": None, "best_pgr": 0.4},
    }
    assert "tasks" not in outcome_summary(OUTCOME)
    over = {
        "on": ["a"],
        "pgr": 0.4,
        "over_naive": {"pgr": 0.3},
        "beats_naive_p": 0.01,
        "shrinkage": 0.1,
        "branch": "x",
    }
    hidden = {"best": over, "tasks": [task, task | {"name": "c", "finalists": finalists[1:]}]}
    assert outcome_summary(outcome | {"hidden": hidden})["hidden"] == {
        **{name: value for name, value in over.items() if name != "branch"},
        "tasks": {"a": {"naive_pgr": 0.1, "best_pgr": 0.4}, "c": {"naive_pgr": 0.1, "best_pgr": None}},
    }


def test_the_best_is_the_best_trial_of_the_search_wherever_it_stopped(
    opened: list[AnyEvent], events: SimpleNamespace
) -> None:
    known = tracked(
        *opened,
        *(events.started("t1"), events.reached("t1", 1.0, 0.3), events.ended("t1")),
        *(events.started("t2"), events.reached("t2", 1 / 3, 0.9), events.ended("t2", "pruned", "no")),
        *(events.started("r1", purpose="replicate"), events.reached("r1", 1.0, 0.8), events.ended("r1")),
        *(events.started("t3"), events.ended("t3", "failed", "nan")),
        *(events.started("t4", branch="two"), events.reached("t4", 1.0, 0.4), events.ended("t4")),
        events.started("t5"),
        Finished(),
    )
    best = [campaign_row(known, count)["best_pgr"] for count in range(1, 6)]
    assert best == [0.3, 0.9, 0.9, 0.9, 0.9]
    assert [campaign_row(known, count).get("pgr") for count in range(1, 6)] == [0.3, 0.9, None, None, 0.4]
    assert campaign_row(known, 4)["train_s"] == 3 * (3.0 + 1.0)
    assert [search_score(trial) for trial in known.trials.values()] == [
        (0.3, 0.1),
        (0.9, 0.1),
        None,
        None,
        (0.4, 0.1),
        None,
    ]
    hypothesis = "confidence helps"
    assert list(findings(known)) == [
        [3, "one", "loss", "", hypothesis, 4, 1, 1, 1, 0.9, 0.1],
        [3, "two", "loss", "one", hypothesis, 1, 1, 0, 0, 0.4, 0.1],
    ]
    rows = {row[0]: row for row in trial_table(known)}
    assert rows["t2"] == ["t2", "search", "one", "pruned", 1 / 3, 0.8, 0.9, 0.1, 4.0, "no"]
    assert rows["t5"] == ["t5", "search", "one", "running", None, None, None, None, 0, ""]
    assert known.finished


def test_text_is_one_plain_line_of_bounded_length() -> None:
    assert plain("a\n b\t\x1b[31mc\u202e\u200bd") == "a b [31mc d"
    assert plain("go to https://evil.example") == "go to https: //evil.example"
    assert len(plain("x" * 5000)) == 500


def test_markdown_is_escaped() -> None:
    assert escape_markdown("# *a* [b](c) <i>&`") == r"\# \*a\* \[b\]\(c\) \<i\>\&\`"
    assert escape_markdown("plain words 12") == "plain words 12"


def test_finalists_are_rows_with_naive_first() -> None:
    finalist = OUTCOME["best"] | {"accuracy": 0.8, "over_naive": {"accuracy": 0.1, "pgr": 0.3}}
    rows = list(finalist_rows(OUTCOME | {"finalists": [finalist]}))
    assert rows == [["naive", 0.2, 0.1, None, None, None], ["1. one", 0.5, 0.1, 0.8, 0.3, 0.01]]
    assert {len(row) for row in rows} == {len(FINALISTS)}
    without_gap = finalist | {"pgr": None, "se": None}
    [_, row] = finalist_rows({"naive": OUTCOME["naive"], "finalists": [without_gap]})
    assert row == ["1. one", None, None, 0.8, 0.1, 0.01]
