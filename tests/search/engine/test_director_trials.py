"""What becomes of a trial: paused, pruned, failed, short of memory."""

import time

import optuna
import pytest
from optuna.trial import TrialState

from agents.findings.predictions import pack
from search.engine.assignment import Assignment
from search.engine.director import SearchFailedError
from search.ledger.events import RungReached
from search.studies.storage import open_journal
from tests.search.engine.conftest import SEARCH_TRUTH, Run, answers, started


def test_a_trial_pauses_at_its_rung(run: Run) -> None:
    [assignment] = started(run, 0.5)
    trial = run.record.trials[assignment.trial]
    assert (trial.paused, trial.state, trial.due) == (True, None, 1 / 3)
    assert [event.trial for event in run.events("trial_paused")] == [assignment.trial]


def test_a_clock_set_back_makes_no_rung_earlier_than_its_trial(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = time.time()
    monkeypatch.setattr("time.time", lambda: before - 3600)
    [assignment] = started(run, 0.5)
    trial = run.record.trials[assignment.trial]
    assert trial.last is not None
    assert before - 1 < trial.started_at <= trial.last.at < before + 60


def test_a_paused_trial_goes_on_as_itself(run: Run) -> None:
    begun: dict[str, Assignment] = {}
    while (assignment := run.patient_next()).rungs == (1 / 3,):
        begun[assignment.trial] = assignment
        run.finish(assignment)
    assert assignment == begun[assignment.trial].model_copy(update={"rungs": (1.0,)})
    assert not run.record.trials[assignment.trial].paused
    run.finish(assignment)
    trial = run.record.trials[assignment.trial]
    assert (trial.state, list(trial.rungs)) == ("completed", [1 / 3, 1.0])


def test_a_hopeless_trial_is_pruned_and_told_so(alone: Run) -> None:
    *_, hopeless = started(alone, 0.9, 0.8, 0.7, -0.5)
    trial = alone.record.trials[hopeless.trial]
    why = "unlikely to be among the best of its branch there (of 4)"
    assert (trial.state, trial.cause) == ("pruned", f"PGR -0.500 at 0.33 of its training: {why}")
    study = optuna.load_study(study_name=trial.branch, storage=open_journal(alone.path / "optuna.log"))
    told = study.get_trials()[trial.number]
    assert (told.state, told.intermediate_values) == (TrialState.PRUNED, {0: -0.5})
    assert alone.record.ended("pruned") == 1


def test_a_trial_far_behind_those_of_another_branch_waits(run: Run) -> None:
    new = started(run, 0.9, -0.5, 0.8, -0.6)
    assert [run.record.trials[one.trial].branch for one in new] == ["one", "two", "one", "two"]
    assert [run.record.trials[one.trial].state for one in new] == [None] * 4


def test_how_seeds_of_floor_and_ceiling_differ_decides_who_is_hopeless(run: Run) -> None:
    assert run.ledger is not None
    told = run.record.baselines.model_copy(update={"seed_variance": 4.0, "seed_free": 1000})
    run.ledger.append(told)  # by luck alone two trials differ by 2 * sqrt(2) PGR, one standard deviation
    *_, behind = started(run, 0.9, 0.8, 0.7, -0.5)
    assert run.record.trials[behind.trial].state is None
    run.restart()
    [behind] = started(run, -0.4)
    assert run.record.trials[behind.trial].state is None


def test_who_waits_behind_too_many_better_ones_is_pruned(alone: Run) -> None:
    promotion = alone.config.search.promotion.model_copy(update={"waiting": 2, "first": 50})
    search = alone.config.search.model_copy(update={"promotion": promotion})
    alone.config = alone.config.model_copy(update={"search": search})
    alone.restart()
    first, second, third = started(alone, 0.8, 0.7, 0.9)
    states = [alone.record.trials[one.trial].state for one in (first, second, third)]
    assert states == [None, "pruned", None]
    cause = alone.record.trials[second.trial].cause
    assert cause == "PGR 0.700 at 0.33 of its training: only 2 trials may pause there"


def test_what_still_waits_at_the_end_of_the_search_is_pruned(run: Run) -> None:
    while (assignment := run.patient_next()).purpose == "search":
        run.report(assignment, assignment.rungs[0], pgr=0.5)
    pruned = [trial for trial in run.record.of_purpose("search") if trial.state == "pruned"]
    why = "PGR 0.500 at 0.33 of its training: the search ended before its turn came"
    assert [trial.cause for trial in pruned] == [why] * 4
    assert run.record.ended("completed") == 4


def test_the_state_of_a_trial_that_has_ended_is_removed(run: Run) -> None:
    while assignment := run.patient_next():
        if assignment.purpose == "search":
            (run.path / "checkpoints" / assignment.trial).mkdir(parents=True, exist_ok=True)
        run.finish(assignment)
        left = {folder.name for folder in (run.path / "checkpoints").iterdir()}
        assert left == {trial.trial for trial in run.record.unfinished()}


def test_nobody_is_pruned_at_the_last_rung(run: Run) -> None:
    promoted: list[Assignment] = []
    while len(promoted) < 3:
        assignment = run.patient_next()
        if assignment.rungs == (1.0,):
            promoted.append(assignment)
            run.report(assignment, 1.0, pgr=-1.0)
        else:
            run.report(assignment, 1 / 3, pgr=0.9)
    assert {run.record.trials[one.trial].state for one in promoted} == {"completed"}


def test_a_failed_trial_is_recorded_with_its_cause_and_stays_failed(run: Run) -> None:
    assignment = run.director.next()
    run.director.failed(assignment.trial, "Diverged: the loss is nan")
    assert run.report(assignment, 1 / 3) == "stop"  # a report that was on its way
    run.director.failed(assignment.trial, "and once more")
    trial = run.record.trials[assignment.trial]
    assert (trial.state, trial.cause, list(trial.rungs)) == ("failed", "Diverged: the loss is nan", [])
    assert len(run.events("trial_ended")) == 1
    run.work()
    assert run.record.ended("failed") == 1
    run.check_optuna()


def test_the_death_of_a_worker_that_has_left_its_trial_waiting_is_no_failure(run: Run) -> None:
    [assignment] = started(run, 0.5)
    run.director.failed(assignment.trial, "the worker died")
    assert run.report(assignment, 1 / 3, pgr=0.9) == "stop"
    trial = run.record.trials[assignment.trial]
    assert (trial.state, trial.paused, trial.last.pgr) == (None, True, 0.5)


def test_when_the_first_eight_trials_fail_the_search_is_given_up(run: Run) -> None:
    for _ in range(7):
        run.director.failed(run.patient_next().trial, "out of memory")
    with pytest.raises(SearchFailedError, match=r"the first 8 trials all failed, .* because: out of memory"):
        run.director.failed(run.patient_next().trial, "out of memory")


def test_a_rung_that_was_passed_says_nothing_new(run: Run) -> None:
    """A trial whose state was lost trains from its beginning again: its first score stands."""
    while (assignment := run.patient_next()).rungs == (1 / 3,):
        run.finish(assignment)
    queries = run.record.grader_queries["search"]
    before = run.record.trials[assignment.trial].last.pgr
    assert run.report(assignment, 1 / 3, pgr=0.01) == "continue"
    assert run.record.trials[assignment.trial].last.pgr == before
    assert run.record.grader_queries["search"] == queries
    assert run.report(assignment, 1.0) == "stop"
    run.work()
    run.check_optuna()


def test_a_rung_that_was_left_out_is_judged_at_its_own(run: Run) -> None:
    assignment = run.director.next()
    assert run.report(assignment, 1.0, pgr=0.4) == "stop"
    trial = run.record.trials[assignment.trial]
    assert (trial.state, list(trial.rungs), trial.last.pgr) == ("completed", [1.0], pytest.approx(0.4))


def test_a_trial_that_ran_out_of_memory_starts_again_with_a_smaller_micro_batch(run: Run) -> None:
    while (first := run.patient_next()).rungs == (1 / 3,):
        run.finish(first)
    assert first.micro_batch is None
    run.director.out_of_memory(first.trial, 16)
    again = run.patient_next()
    assert again == first.model_copy(update={"micro_batch": 16})
    run.restart()
    assert run.patient_next() == again
    run.report(again, 1.0, pgr=0.5)
    assert run.record.trials[first.trial].state == "completed"
    assert [event.micro_batch for event in run.events("micro_batch_halved")] == [16]


def test_a_micro_batch_that_was_halved_on_the_way_is_in_the_ledger(run: Run) -> None:
    given = run.director.next()
    rung = RungReached(
        trial=given.trial,
        share=1 / 3,
        predictions=pack(answers(SEARCH_TRUTH, 0.5)),
        setup_s=0,
        train_s=1,
        eval_s=1,
    )
    run.director.report(rung, [8, 4])
    assert [event.micro_batch for event in run.events("micro_batch_halved")] == [8, 4]
    assert run.record.trials[given.trial].micro_batch == 4
