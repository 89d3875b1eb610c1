"""Orders of a person, as the director follows them, live and in a process that resumes the run."""

from collections import Counter
from collections.abc import Callable

from agents.language.proposal import Branch
from search.ledger.steered import Steered
from tests.search.engine.conftest import Run, started

MORE = Steered(by="resume", settings={"search.trials": 12}, config_sha256="more")


def searched(run: Run) -> int:
    return run.record.tally("search").started


def test_a_stopped_branch_trains_no_further(run: Run) -> None:
    started(run, 0.6, 0.5, 0.4, 0.3)
    waiting = [trial for trial in run.record.of_purpose("search") if trial.branch == "one" and trial.paused]
    assert waiting
    before = run.record.tally("search", "one").started
    run.director.steer(Steered(stop=("one",)))
    assert {trial.state for trial in waiting} == {"pruned"}
    assert all((trial.cause or "").endswith(": its branch was stopped") for trial in waiting)
    run.work()
    assert run.record.tally("search", "one").started == before
    assert searched(run) == 8
    run.check_optuna()


def test_a_trial_on_its_way_ends_at_its_next_rung_if_its_branch_is_stopped(run: Run) -> None:
    assignment = run.patient_next()
    assert assignment is not None
    trial = run.record.trials[assignment.trial]
    run.director.steer(Steered(stop=(trial.branch,)))
    assert trial.state is None
    run.finish(assignment)
    assert trial.state == "pruned"


def test_a_branch_stopped_by_a_process_that_died_then_stays_stopped(run: Run) -> None:
    started(run, 0.6, 0.5, 0.4, 0.3)
    assert run.ledger is not None
    run.ledger.append(Steered(stop=("one",)))  # and no more: its paused trials are still in the ledger
    run.restart()
    assert not [t for t in run.record.unfinished() if t.branch == "one"]
    before = run.record.tally("search", "one").started
    run.work()
    assert run.record.tally("search", "one").started == before
    run.check_optuna()


def test_an_added_branch_gets_trials_and_a_study(run: Run, branch: Callable[..., Branch]) -> None:
    run.work(until="t00002")
    run.director.steer(Steered(add=(branch("mine"),)))
    assert run.record.branches["mine"].by == "steer"
    run.work()
    assert run.record.tally("search", "mine").started > 0
    run.check_optuna()


def test_trials_are_lowered_and_raised_while_the_search_runs(run: Run) -> None:
    run.work(until="t00003")
    run.director.steer(Steered(settings={"search.trials": 5}, config_sha256="less"))
    run.director.steer(Steered(settings={"search.trials": 6}, config_sha256="more"))
    run.restart()  # with the old config: what the ledger says holds
    run.work()
    assert searched(run) == 6


def test_a_pause_holds_all_trials_back_also_in_a_new_process(run: Run) -> None:
    run.work(until="t00002")
    run.director.steer(Steered(paused=True))
    assert run.pending is not None
    run.finish(run.pending)
    assert [run.director.next() for _ in range(3)] == [None, None, None]
    run.restart()
    assert run.director.next() is None
    assert not run.director.done
    run.director.steer(Steered(paused=False))
    run.work()
    assert searched(run) == 8


def test_to_finish_is_to_confirm_what_was_found(run: Run) -> None:
    run.work(until="t00003")
    run.director.steer(Steered(finish=True))
    run.work()
    assert searched(run) == 3
    assert Counter(trial.purpose for trial in run.record.trials.values()) == {"search": 3, "confirm": 9}
    assert {trial.state for trial in run.record.of_purpose("search")} <= {"completed", "pruned"}
    assert run.director.done


def test_a_finished_search_goes_on_when_it_is_extended(run: Run) -> None:
    run.work()
    confirmed = [trial.trial for trial in run.record.of_purpose("confirm")]
    assert run.ledger is not None
    run.ledger.append(MORE)
    run.config = run.config.model_copy(update={"search": run.config.search.model_copy(update={"trials": 12})})
    run.restart()
    run.work()
    assert searched(run) == 12
    pairs = Counter((trial.method.digest, trial.seed) for trial in run.record.of_purpose("confirm"))
    assert set(pairs.values()) == {1}  # nothing that was confirmed is confirmed again
    assert [trial.trial for trial in run.record.of_purpose("confirm")][: len(confirmed)] == confirmed
    assert run.director.done
    run.check_optuna()


def test_a_run_is_extended_while_it_confirms(run: Run) -> None:
    run.work(until="c00002")
    run.director.steer(MORE)
    run.work()
    assert searched(run) == 12
    assert run.director.done
    assert all(trial.state for trial in run.record.trials.values())
