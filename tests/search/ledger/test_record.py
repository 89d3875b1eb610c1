import random
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from agents.language.proposal import Branch, Proposal
from search.ledger.events import Finished, Interrupted, Proposed, Resumed, TestOpened, TrialPaused, WorkerLost
from search.ledger.record import Record
from search.ledger.steered import Steered


def test_a_trial_s_life(events: SimpleNamespace) -> None:
    record = Record.of(
        [
            events.started("t00001", at=10.0),
            events.reached("t00001", 1 / 3, 0.2),
            events.reached("t00001", 1.0, 0.4, train_s=6.0),
            events.ended("t00001", at=30.0),
        ]
    )
    trial = record.trials["t00001"]
    assert (trial.state, trial.started_at, trial.ended_at) == ("completed", 10.0, 30.0)
    assert trial.last is not None
    assert trial.last.pgr == 0.4
    assert trial.train_s == (3 + 1) + (6 + 1)  # training and evaluation, not setting up


def test_a_clock_that_is_set_back_takes_no_time_away(events: SimpleNamespace) -> None:
    record = Record.of(
        [
            events.run_started(at=5000.0),
            events.started("t1", at=5010.0),
            events.ended("t1", at=1410.0),  # an hour back
            events.started("t2", at=1430.0),
        ]
    )
    assert record.active_s == 10 + 20


def test_a_restarted_trial_keeps_its_rungs(events: SimpleNamespace) -> None:
    record = Record.of(
        [
            events.started("t1", number=3),
            events.reached("t1", 1 / 9, 0.9),
            Resumed(),
            events.started("t1", number=3),
            events.reached("t1", 1 / 3, 0.2),
        ]
    )
    assert list(record.trials) == ["t1"]
    assert list(record.trials["t1"].rungs) == [1 / 9, 1 / 3]
    assert [trial.trial for trial in record.unfinished()] == ["t1"]


def test_queries_count_every_grading_also_of_a_restarted_trial(events: SimpleNamespace) -> None:
    record = Record.of(
        [
            events.started("t1"),
            events.reached("t1", 1 / 9),
            events.started("t1"),
            events.reached("t1", 1 / 9),
            events.reached("t1", 1.0),
            events.started("c1", purpose="confirm"),
            events.reached("c1", 1.0, None),  # not graded before the test split is opened
            TestOpened(queries=20),
            TestOpened(queries=20),
        ]
    )
    assert record.grader_queries == {"search": 3, "test": 40}
    assert record.test_openings == 2


def test_active_time_leaves_out_the_time_between_a_stop_and_its_resumption(events: SimpleNamespace) -> None:
    record = Record.of(
        [
            events.run_started(at=100.0),
            events.started("t1", at=110.0),
            Interrupted(at=115.0),
            Resumed(at=1000.0),
            events.started("t1", at=1003.0),
            Resumed(at=5000.0),  # killed: the work since the last event left no trace
            Finished(at=5001.0),
        ]
    )
    assert record.active_s == 15 + 3 + 1
    assert record.finished


def test_states_are_counted_over_all_phases(events: SimpleNamespace) -> None:
    record = Record.of(
        [
            *(events.started(name) for name in ("t1", "t2", "t3", "t4")),
            events.started("c1", purpose="confirm"),
            events.ended("t1"),
            events.ended("t2", "pruned"),
            events.ended("t3", "failed"),
            events.ended("c1"),
        ]
    )
    assert [record.ended(state) for state in ("completed", "pruned", "failed")] == [2, 1, 1]
    assert [trial.trial for trial in record.of_purpose("confirm")] == ["c1"]


def test_the_best_trial_is_that_of_the_best_rung_and_the_earlier_of_two_equals(
    events: SimpleNamespace,
) -> None:
    def trial(name: str, pgr: float, state: str = "completed", branch: str = "one") -> list[object]:
        return [
            events.started(name, branch=branch),
            events.reached(name, 1.0, pgr),
            events.ended(name, state),
        ]

    record = Record.of(
        [
            *trial("t1", -0.3, branch="two"),
            *trial("t2", 0.5),
            *trial("t3", 0.5),
            *trial("t4", 0.4, "pruned"),
            events.started("t5", purpose="replicate"),
            events.reached("t5", 1.0, 0.9),
        ]
    )
    assert record.best().trial == "t2"
    record.apply(events.started("t6"))
    record.apply(events.reached("t6", 1 / 9, 0.6))
    record.apply(events.reached("t6", 1 / 3, 0.1))  # it stands as it was where it was best
    assert record.best().trial == "t6"
    assert record.best("two").trial == "t1"
    assert record.best("three") is None
    assert Record().best() is None


def test_sums_are_those_of_the_trials_whatever_their_order(events: SimpleNamespace) -> None:
    """Random lives of trials, some of them started again: the sums against a count over all trials."""
    rng = random.Random(0)
    record = Record()
    for i in range(300):
        name = f"t{i}"
        purpose, branch = rng.choice(["search", "replicate", "confirm"]), rng.choice(["one", "two"])
        for _ in range(rng.choice([1, 1, 2])):
            record.apply(events.started(name, purpose=purpose, branch=branch))
            record.apply(events.reached(name, 1.0, round(rng.random(), 1)))
        if rng.random() < 0.8:
            record.apply(events.ended(name, rng.choice(["completed", "pruned", "failed"])))
    for purpose in ("search", "replicate", "confirm"):
        for branch in ("one", "two", None):
            trials = [
                trial
                for trial in record.trials.values()
                if trial.purpose == purpose and branch in (None, trial.branch)
            ]
            tally = record.tally(purpose, branch)
            assert tally.started == len(trials)
            assert tally.running == sum(trial.state is None for trial in trials)
            assert tally.ended["pruned"] == sum(trial.state == "pruned" for trial in trials)
            assert tally.best is max(trials, key=lambda trial: trial.best_pgr)
    assert record.unfinished() == [trial for trial in record.trials.values() if trial.state is None]


def test_a_trial_that_ends_twice_is_a_damaged_ledger(events: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="ends the trial t1 twice"):
        Record.of([events.started("t1"), events.ended("t1"), events.ended("t1")])


def test_lost_workers_are_those_of_the_process_at_work(events: SimpleNamespace) -> None:
    lost = [WorkerLost(trial="t1", node="10.0.0.3", cause="killed") for _ in range(3)]
    record = Record.of([events.started("t1"), lost[0], Resumed(), lost[1], lost[2]])
    assert record.workers_lost == [(lost[1], 1), (lost[2], 1)]


def test_a_proposal_starts_a_round_and_brings_branches(branch: Callable[..., Branch]) -> None:
    one, two = branch("one"), branch("two")
    record = Record.of(
        [
            Proposed(round=1, proposal=Proposal(branches=(one,), rationale=""), seconds=0.1),
            Proposed(round=2, proposal=Proposal(branches=(two,), rationale=""), seconds=0.1),
        ]
    )
    assert record.rounds == 2
    assert {name: (found.branch, found.round) for name, found in record.branches.items()} == {
        "one": (one, 1),
        "two": (two, 2),
    }


def test_an_unknown_trial_is_no_silent_matter(events: SimpleNamespace) -> None:
    with pytest.raises(KeyError):
        Record.of([events.reached("t9")])


def test_ended_trials_stand_in_the_order_of_their_ends(events: SimpleNamespace) -> None:
    record = Record.of(
        [*(events.started(name) for name in ("t1", "t2", "t3")), events.ended("t3"), events.ended("t1")]
    )
    assert list(record.trials) == ["t1", "t2", "t3"]
    assert [trial.trial for trial in record.ended_trials] == ["t3", "t1"]


def test_a_trial_that_goes_on_after_a_pause_or_a_restart_keeps_its_rungs(events: SimpleNamespace) -> None:
    """The ledger never repeats a rung: a trial whose state was lost is not graded there again."""
    first, last = events.reached("t1", 1 / 3), events.reached("t1", 1.0)
    record = Record.of([events.started("t1"), first, TrialPaused(trial="t1")])
    assert list(record.running) == []
    for event in (events.started("t1"), Interrupted(), Resumed(), events.started("t1"), last):
        record.apply(event)
    assert list(record.trials["t1"].rungs.values()) == [first, last]
    assert list(record.running) == ["t1"]


def test_a_finished_run_that_is_extended_goes_on_with_its_search(events: SimpleNamespace) -> None:
    record = Record.of(
        [
            events.run_started(),
            events.started("t1"),
            events.ended("t1"),
            events.started("c1", purpose="confirm"),
        ]
    )
    assert (record.search_over, record.confirming) == (True, True)
    for event in (events.ended("c1"), TestOpened(queries=2), Finished()):
        record.apply(event)
    record.apply(Steered(by="resume", settings={"confirm.seeds": 9}, config_sha256="c1"))
    assert (record.finished, record.search_over, record.config_sha256) == (False, True, "c1")
    assert record.confirming
    record.apply(Steered(by="resume", settings={"search.trials": 9}, config_sha256="c2"))
    assert (record.search_over, record.config_sha256) == (False, "c2")
    assert [order.config_sha256 for order in record.after_opening] == ["c1", "c2"]
    record.apply(events.started("r1", purpose="replicate"))
    assert (record.search_over, record.confirming) == (True, False)
    record.apply(events.started("c2", purpose="confirm"))
    assert record.confirming
    record.apply(Steered(by="resume", settings={"replication.seeds": 9}))
    assert (record.search_over, record.confirming) == (True, False)


def test_a_trial_of_the_confirmation_that_starts_again_ends_no_search_that_was_extended(
    events: SimpleNamespace,
) -> None:
    """A process ended within the confirmation; `resume --set search.trials` hands its trial out again."""
    events_ = [
        events.started("t1"),
        events.started("c1", purpose="confirm"),
        Steered(by="resume", settings={"search.trials": 9}),
        events.started("c1", purpose="confirm"),
    ]
    record = Record.of(events_)
    assert (record.search_over, record.confirming) == (False, False)


def test_what_persons_did_to_branches(events: SimpleNamespace, branch: Callable[..., Branch]) -> None:
    proposal = Proposal(branches=(branch("one"),), rationale="")
    record = Record.of([Proposed(round=2, proposal=proposal, seconds=0)])
    record.apply(Steered(stop=("one",), add=(branch("mine"),)))
    assert record.branches["one"].stopped
    mine = record.branches["mine"]
    assert (mine.round, mine.by, mine.stopped) == (2, "steer", False)
