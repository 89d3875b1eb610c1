"""Processes that are killed, and those that take over."""

from collections import Counter
from contextlib import suppress

import pytest

from search.config.seeds import ReplicationConfig
from search.engine.compared.naive import planned_replicates
from search.engine.confirmation import choose_finalists, planned_confirmation, sealed_predictions
from search.ledger.events import AnyEvent, Proposed, Resumed
from search.ledger.log import read_ledger
from tests.search.engine.conftest import CrashError, Run, started


def key_of(event: AnyEvent) -> tuple[object, ...]:
    return (
        event.event,
        getattr(event, "trial", None),
        getattr(event, "share", None),
        getattr(event, "round", None),
    )


@pytest.mark.parametrize("moment", [pytest.param("before", marks=pytest.mark.slow), "after"])
def test_a_kill_at_every_event_loses_nothing_and_repeats_nothing(run: Run, moment: str) -> None:
    """Each event kills the process the first time that it comes up, before or after it is written."""
    killed: set[tuple[object, ...]] = set()
    armed = True

    def crash(event: AnyEvent) -> None:
        if armed and not isinstance(event, Resumed) and key_of(event) not in killed:
            killed.add(key_of(event))
            raise CrashError

    def revive() -> None:
        while True:
            with suppress(CrashError):
                run.restart()
                return

    setattr(run, moment, crash)
    revive()
    finished: set[str] = set()
    while not run.director.done:
        try:
            assignment = run.patient_next()
            if assignment is None:
                break
            assert assignment.trial not in finished
            run.finish(assignment)
        except CrashError:
            revive()
        finished = {event.trial for event in run.events("trial_ended")}
    armed = False
    check_whole(run)
    in_ledger = {key_of(event) for event in read_ledger(run.path / "ledger.jsonl")}
    assert killed == {key for key in in_ledger if key[1] or key[0] == "proposed"}
    assert len(run.events("resumed")) == len(killed) + 1


@pytest.mark.parametrize("seeds", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_new_process_after_every_call_loses_nothing_and_repeats_nothing(run: Run, seeds: int) -> None:
    """Between calls, when the ledger and Optuna both know of the last one; without replicates and with."""
    replication = ReplicationConfig(methods=4, seeds=seeds)
    run.config = run.config.model_copy(update={"replication": replication})
    run.restart()
    while assignment := run.patient_next():
        run.restart()
        assert run.patient_next() == assignment  # it had not ended: it is given out again, and as it was
        run.finish(assignment)
        run.restart()
    check_whole(run)


def test_seeds_are_earned_in_stages_and_every_answer_is_counted(run: Run) -> None:
    run.config = run.config.model_copy(update={"replication": ReplicationConfig(methods=4, seeds=3)})
    run.restart()
    run.work()
    everything = list(run.record.of_purpose("replicate"))
    of_naive = [trial.seed for trial in everything if trial.method == run.config.naive]
    assert of_naive == [10_000, 10_001, 10_002]  # those of the search and of each stage
    replicates = [trial for trial in everything if trial.method != run.config.naive]
    *first, second, third = replicates
    assert [trial.trial for trial in everything] == [f"r{i:05d}" for i in range(1, len(everything) + 1)]
    assert [trial.seed for trial in replicates] == [10_001] * len(first) + [10_002] * 2
    assert {second.method, third.method} < {trial.method for trial in first}
    graded = sum(len(t.rungs) for t in run.record.trials.values() if t.purpose != "confirm")
    assert run.record.grader_queries == {"search": graded}


def check_whole(run: Run) -> None:
    """All that was planned is done once, and Optuna agrees."""
    ended = Counter(event.trial for event in run.events("trial_ended"))
    replicates = len(planned_replicates(run.config, run.record))
    finalists = len(choose_finalists(run.config, run.record))
    assert finalists > 0
    confirmed = len(planned_confirmation(run.config, run.record))
    assert confirmed == 3 * (1 + finalists)
    counts = (("t", 8), ("r", replicates), ("c", confirmed))
    planned = [f"{c}{i + 1:05d}" for c, n in counts for i in range(n)]
    assert ended == Counter(planned)
    assert len({trial.method for trial in run.record.of_purpose("search")}) == 8
    assert [event.round for event in run.events("proposed")] == [1, 2]
    assert all(isinstance(event, Proposed) for event in run.events("proposed"))
    assert len(sealed_predictions(run.config, run.record)) == 1 + finalists
    run.check_optuna()


def test_after_a_restart_trials_are_judged_against_those_from_before(alone: Run) -> None:
    started(alone, 0.9, 0.8, 0.7)
    alone.restart()
    [hopeless] = started(alone, -0.5)
    assert hopeless.trial == "t00004"
    assert alone.record.trials[hopeless.trial].state == "pruned"


def test_after_a_restart_paused_trials_wait_as_before(run: Run) -> None:
    first, second = started(run, 0.9, 0.8)
    run.restart()
    assert [trial.trial for trial in run.record.unfinished()] == [first.trial, second.trial]
    assert {run.patient_next().trial for _ in range(2)} == {"t00003", "t00004"}


def test_the_budget_is_not_spent_twice_over_restarts(run: Run) -> None:
    given = 0.0
    while (assignment := run.patient_next()) and assignment.purpose == "search":
        given += 1 / 3 if assignment.rungs == (1 / 3,) else 2 / 3
        run.finish(assignment)
        run.restart()
    assert given == pytest.approx(8 / 3 + 4 * 2 / 3)


def test_restarted_trials_come_first_in_their_order(run: Run) -> None:
    running = [run.patient_next() for _ in range(3)]
    run.finish(running[1])
    run.restart()
    assert [run.patient_next() for _ in range(2)] == [running[0], running[2]]
    assert run.patient_next().trial == "t00004"
