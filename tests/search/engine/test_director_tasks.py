"""A director at work on three tasks: what it trains next, and what it keeps of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agents.findings.predictions import pack
from agents.language.proposal import Branch, Proposal
from search.config.schema import RunConfig
from search.config.seeds import ReplicationConfig
from search.config.tasks import SearchedTask
from search.engine.assignment import Assignment
from search.engine.context import RunContext
from search.engine.director import Director
from search.ledger.events import (
    AnyEvent,
    BaselinesReady,
    Resumed,
    RungReached,
    RunStarted,
    TaskBaselines,
)
from search.ledger.log import Ledger, read_ledger
from search.ledger.record import Record
from search.scoring.grader import Grader
from search.scoring.objective import DEFAULT, aggregate
from search.scoring.several_tasks import SeveralTasks, TaskScale
from tests.search.engine.conftest import SEARCH_TRUTH, TEST_TRUTH, Script, answers, graded, true_pgr
from tests.search.engine.test_director_replay import known, replayed
from trainers.data.settings import ToyTask

NAMES = ("reviews", "quarrels", "verdicts")
LATER = {"reviews": 0.0, "quarrels": -0.2, "verdicts": 0.1}  # what a task adds to every method's PGR


class Stopped(Exception):
    """Stands for a process that is killed."""


@dataclass
class Campaign:
    """A run on three tasks, and the process that is at work on it."""

    path: Path
    config: RunConfig
    script: Script
    director: Director = field(init=False)
    record: Record = field(init=False)
    ledger: Ledger = field(init=False)
    context: RunContext = field(init=False)

    def __post_init__(self) -> None:
        self.start(RunStarted(run="unit", config_sha256="c", commit="c"))
        floors = {"weak_acc": 0.5, "weak_se": 0, "ceiling_acc": 1, "ceiling_se": 0}
        tasks = tuple(TaskBaselines(name=name, examples=len(SEARCH_TRUTH), **floors) for name in NAMES)
        self.ledger.append(BaselinesReady(seeds=5, train_s=0, tasks=tasks, **floors))

    def start(self, first: AnyEvent) -> None:
        path = self.path / "ledger.jsonl"
        past = read_ledger(path) if path.exists() else []
        self.record = Record.of(past)
        self.ledger = Ledger(path, self.record.apply)
        self.ledger.append(first)
        self.context = context_of(self.path, self.config, self.ledger, self.record)
        self.director = Director(self.context, self.script, past, at_once=True)

    def restart(self) -> None:
        self.director.close()
        self.ledger.close()
        self.start(Resumed())

    def report(self, assignment: Assignment) -> list[str]:
        [share] = assignment.rungs
        return [self.reach(assignment, task, share) for task in assignment.on]

    def reach(self, assignment: Assignment, task: str, share: float) -> str:
        truth = SEARCH_TRUTH if assignment.split == "search" else TEST_TRUTH
        pgr = true_pgr(assignment.method) * 0.7 + 0.2 + LATER[task]
        rung = RungReached(
            trial=assignment.trial,
            share=share,
            predictions=pack(answers(truth, pgr)),
            setup_s=0.1,
            train_s=3 * share,
            eval_s=0.2,
        )
        return self.director.report(rung, (), task)

    def work(self, most: int = 10_000) -> list[Assignment]:
        given: list[Assignment] = []
        while len(given) < most and (assignment := self.director.next()):
            given.append(assignment)
            self.report(assignment)
        return given


def context_of(path: Path, config: RunConfig, ledger: Ledger, record: Record) -> RunContext:
    scales = {
        name: TaskScale(
            grader=Grader(graded(SEARCH_TRUTH, 5), graded(TEST_TRUTH, 8)),
            examples=len(SEARCH_TRUTH),
            test=len(TEST_TRUTH),
            weak_acc=0.5,
            gap=0.5,
        )
        for name in NAMES
    }
    several = SeveralTasks(scales, config.search.objective)
    return RunContext(
        config=config,
        directory=path,
        ledger=ledger,
        record=record,
        grader=several,
        gap=1.0,
        search_size=several.examples,
        several=several,
    )


@pytest.fixture
def campaign(
    tmp_path: Path, config: RunConfig, branch: Callable[..., Branch], proposal: Callable[..., Proposal]
) -> Campaign:
    tasks = tuple(SearchedTask(name=name, task=ToyTask(seed=i)) for i, name in enumerate(NAMES))
    script = Script([proposal(branch("one"), branch("two")), proposal(branch("three"))])
    twice = ReplicationConfig(methods=2, seeds=2)
    return Campaign(tmp_path, config.model_copy(update={"tasks": tasks, "replication": twice}), script)


def test_new_methods_begin_with_different_tasks_and_train_on_one_at_a_time(campaign: Campaign) -> None:
    given = campaign.work()
    searched = [one for one in given if campaign.record.trials[one.trial].purpose == "search"]
    first = {one.trial: one.on for one in reversed(searched)}
    assert [first[f"t{n:05d}"] for n in range(1, 5)] == [(NAMES[n % 3],) for n in range(4)]
    assert all(len(one.on) == 1 for one in searched)


def test_a_rung_counts_once_a_trial_is_there_on_all_tasks(campaign: Campaign) -> None:
    campaign.work()
    for trial in campaign.record.of_purpose("search"):
        for share, rung in trial.rungs.items():
            there = trial.reached_on(share)
            assert set(there) == set(NAMES)
            assert rung.pgr == pytest.approx(aggregate([one.pgr or 0.0 for one in there.values()], DEFAULT))
            assert rung.seconds == pytest.approx(sum(one.seconds for one in there.values()))
    partly = [t for t in campaign.record.of_purpose("search") if t.on_tasks and len(t.on_tasks) % 3]
    assert partly, "some method failed to convince on its first tasks"
    assert all(t.state == "pruned" for t in partly)
    assert campaign.record.grader_queries["search"] == sum(
        len(t.on_tasks) for t in campaign.record.trials.values() if not t.confirms
    )


def test_further_seeds_and_the_confirmation_are_trained_on_all_tasks(campaign: Campaign) -> None:
    given = campaign.work()
    later = [one for one in given if one.purpose != "search"]
    assert {one.purpose for one in later} == {"replicate", "confirm"}
    assert all(one.on == NAMES for one in later)
    for trial in campaign.record.of_purpose("confirm"):
        assert trial.state == "completed"
        assert len(trial.last.predictions) == 2 * -(-3 * len(TEST_TRUTH) // 8)
    assert campaign.director.done


def test_the_best_is_that_of_the_mean_and_no_task_s_alone(campaign: Campaign) -> None:
    campaign.work()
    best = campaign.record.best()
    assert best is not None
    complete = [t for t in campaign.record.of_purpose("search") if t.rungs]
    assert true_pgr(best.method) == max(true_pgr(t.method) for t in complete)


def test_after_every_event_a_replay_knows_what_the_live_process_knew(campaign: Campaign) -> None:
    live = []
    campaign.ledger.listen(
        lambda event: live.append(known(campaign.director._exploration, campaign.director._judging))
    )
    campaign.work(most=30)
    events = read_ledger(campaign.path / "ledger.jsonl")
    assert {event.event for event in events} >= {"trial_paused", "task_reached", "rung_reached"}
    before = len(events) - len(live)
    for count in range(before + 1, len(events) + 1, 5):
        record = Record.of(events[:count])
        context = context_of(campaign.path, campaign.config, campaign.ledger, record)
        assert replayed(context, events[:count], campaign.path / f"{count}.log") == live[count - before - 1]


@pytest.mark.parametrize("at", ["task_reached", "rung_reached", "trial_started", "trial_paused"])
@pytest.mark.parametrize("nth", [1, 4, 9])
def test_a_process_that_ends_after_any_event_is_taken_over(campaign: Campaign, at: str, nth: int) -> None:
    count = 0

    def stop(event: AnyEvent) -> None:
        nonlocal count
        count += event.event == at
        if count == nth:
            count += 1
            raise Stopped

    campaign.ledger.listen(stop)
    with pytest.raises(Stopped):
        campaign.work()
    campaign.restart()
    campaign.work()
    assert campaign.director.done
    ended = [e.trial for e in read_ledger(campaign.path / "ledger.jsonl") if e.event == "trial_ended"]
    assert len(ended) == len(set(ended)) == len(campaign.record.trials)
    reached = [
        (e.trial, e.share, e.task)
        for e in read_ledger(campaign.path / "ledger.jsonl")
        if e.event == "task_reached"
    ]
    assert len(reached) == len(set(reached))


def test_a_trial_that_failed_on_one_task_goes_on_with_none(campaign: Campaign) -> None:
    first = campaign.director.next()
    assert first is not None
    campaign.report(first)
    second = campaign.director.next()
    assert second is not None
    campaign.director.failed(second.trial, "a bad method")
    campaign.work()
    assert campaign.record.trials[second.trial].state == "failed"
    assert campaign.record.trials[second.trial].rungs == {}


def test_a_replicate_whose_worker_was_lost_trains_the_tasks_that_are_missing(campaign: Campaign) -> None:
    while (assignment := campaign.director.next()) and assignment.purpose == "search":
        campaign.report(assignment)
    assert assignment is not None
    assert campaign.reach(assignment, NAMES[0], 1.0) == "continue"
    campaign.director.lost(assignment.trial, "its node is gone", "node", begun=True)
    again = campaign.director.next()
    assert again is not None
    assert (again.trial, again.on) == (assignment.trial, NAMES[1:])
    assert campaign.report(again) == ["continue", "stop"]
