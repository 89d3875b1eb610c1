from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from agents.findings.digest import history, standing
from agents.findings.round_proposal import Note
from agents.language.proposal import Branch, Proposal
from search.config.rules import rules
from search.config.schema import RunConfig
from search.config.tasks import HiddenTask, SearchedTask
from search.engine.findings import brief, earlier_runs
from search.ledger.events import BranchesRefused, NoteLeft, Proposed, TaskBaselines
from search.ledger.record import Record
from search.storage.run_directory import RunDirectory
from trainers.data.settings import DatasetTask
from trainers.trial.label_quality import LabelQuality


@pytest.fixture
def record(events: SimpleNamespace, branch: Callable[..., Branch]) -> Record:
    one, two = branch("one"), branch("two")
    return Record.of(
        [
            events.run_started(),
            events.baselines(weak_acc=0.6, weak_se=0.01, ceiling_acc=0.9, ceiling_se=0.02),
            Proposed(round=1, proposal=Proposal(branches=(one,), rationale=""), seconds=0),
            events.started("t1", lr=2e-3, seed=7),
            events.reached("t1", 1.0, 0.6, se=0.05),
            events.reached("t1", 1 / 3, 0.2),
            events.ended("t1"),
            Proposed(round=2, proposal=Proposal(branches=(two,), rationale=""), seconds=0),
            events.started("t2", branch="two"),
            events.ended("t2", "failed", "Diverged: nan"),
            events.started("t3", branch="two"),
            events.started("c1", purpose="confirm"),
            events.reached("c1", 1.0, None),
        ]
    )


def test_it_tells_the_gap_the_round_and_what_is_left(record: Record, config: RunConfig) -> None:
    findings = brief(config, record)
    assert findings.round == 3
    assert (findings.weak_acc, findings.weak_se) == (0.6, 0.01)
    assert (findings.ceiling_acc, findings.ceiling_se) == (0.9, 0.02)
    assert findings.naive == config.naive
    assert findings.trials_left == 8 - 3
    assert findings.rules == rules(config)


def test_trials_of_the_search_are_told_and_no_test_answer_is(record: Record, config: RunConfig) -> None:
    done, failed, running = brief(config, record).trials
    assert (done.trial, done.branch, done.method.optim.lr, done.seed) == ("t1", "one", 2e-3, 7)
    assert (done.state, done.pgr, done.se, done.cause) == ("completed", 0.6, 0.05, None)
    assert done.curve == ((1 / 3, 0.2), (1.0, 0.6))
    assert done.train_s == 8.0
    assert (failed.state, failed.pgr, failed.se, failed.curve) == ("failed", None, None, ())
    assert failed.cause == "Diverged: nan"
    assert running.state == "running"


def test_branches_are_live_until_they_are_used_up(record: Record, config: RunConfig) -> None:
    found = brief(config, record, {"one"}).branches
    assert [(one.branch.name, one.round, one.live) for one in found] == [("one", 1, False), ("two", 2, True)]
    assert all(one.live for one in brief(config, record).branches)


def test_before_the_first_round_there_is_only_the_gap(events: SimpleNamespace, config: RunConfig) -> None:
    findings = brief(config, Record.of([events.baselines()]))
    assert (findings.round, findings.branches, findings.trials, findings.trials_left) == (1, (), (), 8)


def test_signals_compare_a_trial_with_its_own_supervisor(events: SimpleNamespace, config: RunConfig) -> None:
    """Eight examples, two supervisors for the search; the run's second seed learned from the second."""
    record = Record.of(
        [
            events.baselines(examples=8, weak_predictions=("ff", "f0")),
            events.started("t1", seed=10_001),
            events.reached("t1", 1 / 3, 0.2, predictions="e0"),
            events.reached("t1", 1.0, 0.6, predictions="c0"),
            events.started("t2", seed=10_000),
            events.reached("t2", 1 / 3, 0.2, predictions="e0"),
            events.started("t3", seed=10_000),
        ]
    )
    first, second, third = brief(config, record).trials
    assert (first.balance, first.agreement, first.steadiness) == (2 / 8, 6 / 8, 7 / 8)
    assert first.predictions == "c0"
    assert (second.balance, second.agreement, second.steadiness) == (3 / 8, 3 / 8, None)
    assert (third.balance, third.agreement, third.steadiness, third.predictions) == (None, None, None, None)


def test_what_is_said_of_labels_is_told_after_a_pause_too(events: SimpleNamespace, config: RunConfig) -> None:
    said = LabelQuality(kept=0.8, balance=0.5, predictable=0.9)
    first = events.reached("t1", 1 / 3, 0.2, labels=said)
    again = type(first).model_validate_json(first.model_dump_json())
    record = Record.of([events.baselines(), events.started("t1"), again, events.reached("t1", 1.0, 0.6)])
    assert brief(config, record).trials[0].labels == said
    assert brief(config, Record.of([events.started("t2")])).trials[0].labels is None


def test_notes_and_refusals_of_earlier_rounds_are_told(events: SimpleNamespace, config: RunConfig) -> None:
    note = Note(round=1, lane="2", text="soft labels help")
    refused = BranchesRefused(round=1, reasons=("branches[0]: no", "branches[1]: no"))
    findings = brief(config, Record.of([events.baselines(), NoteLeft(note=note), refused]))
    assert findings.notes == (note,)
    assert [(one.round, one.text) for one in findings.refused] == [
        (1, "branches[0]: no"),
        (1, "branches[1]: no"),
    ]


def test_of_several_tasks_it_tells_the_pgr_on_each_and_nothing_of_hidden_ones(
    events: SimpleNamespace, branch: Callable[..., Branch], on_tasks: Callable[..., RunConfig]
) -> None:
    config = on_tasks("near", "far")
    hidden = HiddenTask(name="unseen", task=config.task)
    config = config.model_copy(update={"hidden": (hidden,)})
    floors = {"weak_acc": 0.6, "weak_se": 0.0, "ceiling_acc": 0.9, "ceiling_se": 0.0, "examples": 10}
    tasks = tuple(TaskBaselines(name=name, **floors) for name in ("near", "far"))
    record = Record.of(
        [
            events.baselines(tasks=tasks),
            Proposed(round=1, proposal=Proposal(branches=(branch("one"),), rationale=""), seconds=0),
            events.started("t1"),
            *events.reached_on("t1", {"near": 0.9, "far": 0.1}, 1 / 3),
            *events.reached_on("t1", {"near": 0.2, "far": 0.0}),
            events.started("h1", purpose="hidden", task="unseen", branch=""),
            events.reached("h1", 1.0, None),
        ]
    )
    findings = brief(config, record)
    assert [one.name for one in findings.tasks] == ["near", "far"]
    assert dict(findings.trials[0].on_tasks) == {"near": 0.9, "far": 0.1}
    assert "geometric mean of what is left" in standing(findings)
    assert "unseen" not in findings.model_dump_json() + standing(findings) + history(findings)


@pytest.fixture
def earlier(tmp_path: Path, config: RunConfig, events: SimpleNamespace) -> Path:
    """The directory of a run with a trial of the search and one of the confirmation, never finished."""
    run = RunDirectory(tmp_path / "reviews-1")
    run.path.mkdir()
    run.write_config(config)
    happened = [
        events.run_started(),
        events.baselines(weak_acc=0.6, weak_se=0.01, ceiling_acc=0.9, ceiling_se=0.02),
        events.started("t1"),
        events.reached("t1", 1.0, 0.6, se=0.05),
        events.ended("t1"),
        events.started("c1", purpose="confirm"),
        events.reached("c1", 1.0, None),
    ]
    run.ledger.write_text("".join(f"{event.model_dump_json()}\n" for event in happened))
    return run.path


def test_an_earlier_run_is_known_by_its_search_alone(earlier: Path, config: RunConfig) -> None:
    (run,) = earlier_runs([f"{earlier}/"], config)
    assert (run.name, run.about) == ("reviews-1", f"{config.name}, single texts, toy weak to toy strong")
    assert [(trial.trial, trial.pgr) for trial in run.findings.trials] == [("t1", 0.6)]


def test_an_earlier_run_on_a_task_that_is_hidden_here_is_refused(earlier: Path, config: RunConfig) -> None:
    other_draw = config.task.model_copy(update={"seed": 99})
    hidden = config.model_copy(update={"hidden": (HiddenTask(name="secret", task=other_draw),)})
    with pytest.raises(ValueError, match=r"agent\.earlier .*reviews-1: that run searched on a task that is"):
        earlier_runs([str(earlier)], hidden)


def test_of_several_tasks_none_may_be_hidden_here(earlier: Path, config: RunConfig) -> None:
    other = DatasetTask(path="other.csv", splits=config.task.splits)
    both = (SearchedTask(name="one", task=config.task), SearchedTask(name="two", task=other))
    RunDirectory(earlier).write_config(config.model_copy(update={"tasks": both}))
    (run,) = earlier_runs([str(earlier)], config)
    assert "single texts of 2 tasks" in run.about
    with pytest.raises(ValueError, match="searched on a task that is hidden here"):
        earlier_runs(
            [str(earlier)], config.model_copy(update={"hidden": (HiddenTask(name="x", task=other),)})
        )


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({}, False),
        ({"seed": 9}, True),
        ({"path": "another.csv"}, False),
        ({"seed": 9, "test_path": "apart.csv"}, False),
    ],
)
def test_scores_on_examples_that_are_now_of_the_test_split_are_refused(
    earlier: Path, config: RunConfig, change: dict[str, object], refused: bool
) -> None:
    task = DatasetTask(path="reviews.csv", splits=config.task.splits)
    RunDirectory(earlier).write_config(config.model_copy(update={"task": task}))
    now = config.model_copy(update={"task": task.model_copy(update=change)})
    if refused:
        with pytest.raises(
            ValueError, match=r"that run cut the same examples otherwise.*; write task as there"
        ):
            earlier_runs([str(earlier)], now)
    else:
        assert len(earlier_runs([str(earlier)], now)) == 1


def test_a_place_without_a_run_is_told_in_a_line(tmp_path: Path, config: RunConfig) -> None:
    with pytest.raises(ValueError, match=r"agent\.earlier .*nowhere: .*holds no run") as error:
        earlier_runs([str(tmp_path / "nowhere")], config)
    assert "\n" not in str(error.value)


def test_naive_is_told_once_it_was_trained_for_the_search_split(
    events: SimpleNamespace, config: RunConfig
) -> None:
    told = [events.baselines(), events.started("r1", purpose="replicate", branch="", method=config.naive)]
    assert brief(config, Record.of(told)).naive_pgr is None
    assert brief(config, Record.of([*told, events.reached("r1", 1.0, 0.2)])).naive_pgr == 0.2
