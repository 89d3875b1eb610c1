"""Workers that are lost."""

import pytest

from search.engine.assignment import Assignment
from search.engine.confirmation import confirm, sealed_predictions
from search.engine.director import SearchFailedError
from search.engine.findings import brief
from search.output.result import TaskOutcome, result
from tests.search.engine.conftest import Run

GONE = "its worker was lost: the node died"


def lose(run: Run, assignment: Assignment, *, begun: bool = True) -> None:
    run.director.lost(assignment.trial, GONE, "10.0.0.1", begun=begun)


def test_a_trial_whose_worker_is_lost_starts_again_before_any_other(run: Run) -> None:
    given = run.director.next()
    for _ in range(run.config.faults.retries):
        lose(run, given)
        assert run.director.next() == given
    assert run.director.next().trial == "t00002"
    run.finish(given)
    lose(run, given)  # told late: it waits at its rung, and nothing of it is lost
    assert [(event.trial, event.node) for event in run.events("worker_lost")] == [("t00001", "10.0.0.1")] * 2


def test_a_trial_out_of_retries_has_failed_and_takes_its_share_of_the_budget(run: Run) -> None:
    """What it trained again is not charged to the search, and nobody takes its place."""
    given, unlucky = 0.0, None
    while (assignment := run.patient_next()).purpose == "search":
        given += 1 / 3 if assignment.rungs == (1 / 3,) else 2 / 3
        if assignment.rungs == (1.0,) and unlucky is None:
            unlucky = assignment
            for _ in range(2):
                lose(run, unlucky)
                assert run.director.next() == unlucky
            lose(run, unlucky)
        else:
            run.finish(assignment)
    run.finish(assignment)
    run.work()
    assert given == pytest.approx(8 / 3 + 4 * 2 / 3)  # as without any loss
    trial = run.record.trials[unlucky.trial]
    assert (trial.state, trial.cause, list(trial.rungs)) == ("failed", GONE, [1 / 3])
    assert run.report(unlucky, 1.0, pgr=1.0) == "stop"
    run.check_optuna()
    [found] = [one for one in brief(run.config, run.record).trials if one.trial == unlucky.trial]
    assert (found.state, found.cause, found.pgr) == ("failed", GONE, trial.rungs[1 / 3].pgr)
    answers = run.grader.open_test(sealed_predictions(run.config, run.record))
    confirmation = confirm(run.config, run.record, answers)
    outcome = result(run.record, TaskOutcome(confirmation=confirmation, baselines=answers.baseline_scores))
    # Eight started and four went on, of whom one failed.
    assert outcome["phases"]["search"] == {"started": 8, "completed": 3, "pruned": 4, "failed": 1}
    assert outcome["grader_queries"]["search"] == 8 + 3 + 1  # and naive
    assert unlucky.method.model_dump() not in [one["method"] for one in outcome["finalists"]]


def test_workers_that_were_gone_before_a_trial_began_cost_it_no_retry_but_end_the_run_at_last(
    run: Run,
) -> None:
    given = run.director.next()
    for _ in range(run.config.faults.workers):
        lose(run, given, begun=False)
        assert run.director.next() == given
    with pytest.raises(SearchFailedError, match=r"11 workers were lost in 1 trials, .* on node 10\.0\.0\.1"):
        lose(run, given, begun=False)
    assert run.record.trials[given.trial].state is None  # a resumed run starts it again


def test_a_resumed_run_counts_retries_from_zero(run: Run) -> None:
    given = run.director.next()
    for _ in range(2):
        for _ in range(run.config.faults.retries):
            lose(run, given)
            assert run.director.next() == given
        run.restart()
        assert run.director.next() == given
    assert run.record.trials[given.trial].state is None
