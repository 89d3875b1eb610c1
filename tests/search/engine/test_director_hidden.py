"""The director on hidden tasks, once the search and its confirmation are over."""

import pytest

from search.config.tasks import HiddenTask
from search.engine.assignment import Assignment
from tests.search.engine.conftest import Run
from trainers.data.settings import ToyTask

FIRST, SECOND = (
    HiddenTask(name=name, task=ToyTask(seed=seed)) for name, seed in (("first", 3), ("second", 4))
)


@pytest.fixture
def hidden(run: Run) -> Run:
    """The run, which has two hidden tasks."""
    run.config = run.config.model_copy(update={"hidden": (FIRST, SECOND)})
    run.restart()
    return run


def tasks(given: list[Assignment]) -> set[tuple[str, str]]:
    return {(one.purpose, one.task) for one in given}


def test_a_hidden_task_is_trained_on_only_when_it_is_due(hidden: Run) -> None:
    given = hidden.work()
    assert tasks(given) == {("search", ""), ("replicate", ""), ("confirm", "")}
    assert hidden.director.done
    assert hidden.director.next() is None
    for one in (FIRST, SECOND):
        assert hidden.director.planned_on(one) == 3 * len(hidden.config.confirm_seeds())
        hidden.director.confirm_on(one)
        given = hidden.work()
        assert tasks(given) == {("hidden", one.name)}
        assert len(given) == 3 * len(hidden.config.confirm_seeds())  # naive and two finalists
        assert hidden.director.done
    assert not hidden.record.unfinished()
    assert {trial.best for trial in hidden.record.of_purpose("hidden")} == {None}  # ungraded
    hidden.check_optuna()


def test_a_process_that_ends_on_a_hidden_task_is_followed_by_one_that_goes_on_there(hidden: Run) -> None:
    hidden.work()
    hidden.director.confirm_on(FIRST)
    before = hidden.work(until="h1-00004")
    hidden.restart()
    # The trial that was running waits for its task: workers of the search's own could not train it.
    assert hidden.director.next() is None
    assert hidden.director.done
    hidden.director.confirm_on(FIRST)
    assert not hidden.director.done
    after = hidden.work()
    assert [one.trial for one in after] == [f"h1-{i:05d}" for i in range(4, 10)]
    assert {(one.task, one.split) for one in after} == {("first", "test")}
    assert before[-1].trial == after[0].trial
    assert hidden.director.done


def test_a_trial_that_lost_its_worker_on_a_hidden_task_starts_again_there(hidden: Run) -> None:
    hidden.work()
    hidden.director.confirm_on(FIRST)
    [*_, lost] = hidden.work(until="h1-00002")
    hidden.director.lost(lost.trial, "its worker was lost: power", None, begun=True)
    again = hidden.director.next()
    assert again is not None
    assert (again.trial, again.task, again.purpose, again.seed) == (lost.trial, "first", "hidden", lost.seed)


def test_a_trial_that_failed_on_a_hidden_task_is_tried_again_by_a_new_process(hidden: Run) -> None:
    hidden.work()
    hidden.director.confirm_on(FIRST)
    [*_, failed] = hidden.work(until="h1-00002")
    hidden.director.failed(failed.trial, "RuntimeError: once")
    hidden.pending = None
    hidden.work()
    hidden.restart()
    hidden.director.confirm_on(FIRST)
    [again] = hidden.work()
    assert (again.trial, again.method, again.seed) == ("h1-00002-2", failed.method, failed.seed)
