import json
import time
from collections import deque

import optuna
import pytest

from agents.language.proposal import Proposal
from search.engine.assignment import Assignment
from search.engine.confirmation import sealed_predictions
from search.engine.replication import kind_of
from search.ledger.events import TestOpened
from search.scoring.grader import Grader
from search.studies.storage import open_journal
from search.workers.remote_grader import RemoteGrader
from tests.search.engine.conftest import SEARCH_TRUTH, TEST_TRUTH, Run, graded


@pytest.fixture(params=["here", pytest.param("in an actor", marks=pytest.mark.slow)])
def grader(request: pytest.FixtureRequest) -> Grader | RemoteGrader:
    if request.param == "in an actor":
        request.getfixturevalue("local_ray")
        return RemoteGrader(graded(SEARCH_TRUTH, 5), graded(TEST_TRUTH, 8))
    return Grader(graded(SEARCH_TRUTH, 5), graded(TEST_TRUTH, 8))


def test_the_whole_life_of_a_search(run: Run) -> None:
    given = run.work()
    search = [one for one in given if one.purpose == "search"]
    confirmation = [one for one in given if one.purpose == "confirm"]
    begun = [one for one in search if one.rungs == (1 / 3,)]
    assert [one.trial for one in begun] == [f"t{i:05d}" for i in range(1, 9)]
    promoted = [one for one in search if one.rungs == (1.0,)]
    assert len({one.trial for one in promoted}) == len(promoted) == 4
    [naive] = [one for one in given if one.purpose == "replicate"]
    assert given == [*search, naive, *confirmation]
    assert (naive.method, naive.seed) == (run.config.naive, run.config.search_seed())
    assert {one.seed for one in search} == {run.config.search_seed()}
    assert len({one.method for one in begun} | {run.config.naive}) == 9
    assert run.director.done
    assert run.director.next() is None
    assert run.record.rounds == 2
    assert not run.record.unfinished()
    run.check_optuna()


def test_rounds_take_turns_by_supervisor_where_asked(run: Run) -> None:
    search = run.config.search.model_copy(update={"supervisors": "alternate"})
    run.config = run.config.model_copy(update={"search": search})
    run.restart()
    run.work()
    taught = {trial.branch: run.config.supervisor(trial.seed) for trial in run.record.of_purpose("search")}
    rounds = {name: branch.round for name, branch in run.record.branches.items()}
    assert set(rounds.values()) == {1, 2}
    assert taught == {name: rounds[name] - 1 for name in taught}
    assert len(set(taught.values())) == 2


def test_no_trial_starts_and_nothing_is_proposed_once_the_hours_are_used_up(run: Run) -> None:
    search = run.config.search.model_copy(update={"trials": 1000, "max_hours": 20 / 3600})
    run.config = run.config.model_copy(update={"search": search})
    run.restart()
    run.work()
    trained = [trial.train_s for trial in run.record.of_purpose("search")]
    assert 4 <= len(trained) < 20
    assert 15 < sum(trained) < 25  # a step that has begun is finished
    assert run.record.rounds <= 5
    assert run.director.done


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_search_whose_numbers_come_from_a_sampler_of_optuna_s(run: Run, sampler: str) -> None:
    search = run.config.search.model_copy(update={"sampler": sampler})
    run.config = run.config.model_copy(update={"search": search})
    run.restart()
    given = run.work(until="t00005")
    run.restart()
    given += run.work()
    begun = {one.trial: one.method for one in given if one.purpose == "search"}
    assert list(begun) == [f"t{i:05d}" for i in range(1, 9)]
    assert len(set(begun.values())) == 8
    assert run.director.done
    assert len(run.record.branches) == 3
    run.check_optuna()
    storage = open_journal(run.path / "optuna.log")
    studies = [optuna.load_study(study_name=name, storage=storage) for name in run.record.branches]
    # No suggestion that was passed over has become a trial.
    assert sum(len(study.get_trials()) for study in studies) == 8


def test_scores_are_those_of_the_grader(run: Run) -> None:
    assignment = run.director.next()
    assert assignment is not None
    run.report(assignment, 1 / 3, pgr=0.25)
    [rung] = run.events("rung_reached")
    # 125 of 200 are right.
    assert (rung.accuracy, rung.pgr) == (0.625, 0.25)
    assert rung.se > 0


def test_confirmation_is_naive_first_then_the_best_on_fresh_seeds(run: Run) -> None:
    confirmation = [one for one in run.work() if one.purpose == "confirm"]
    ranked = sorted(run.record.of_purpose("search"), key=lambda trial: trial.best_pgr, reverse=True)
    first = ranked[0].method.stopped_at(1 / 3)  # no method of this test gets better after its first rung
    unlike = next(trial.best_method for trial in ranked if kind_of(trial.method) != kind_of(first))
    methods = [run.config.naive, first, unlike]
    seeds = run.config.confirm_seeds()
    assert [(one.method, one.seed) for one in confirmation] == [(m, s) for m in methods for s in seeds]
    assert [one.trial for one in confirmation] == [f"c{i:05d}" for i in range(1, 10)]
    assert not set(seeds) & {trial.seed for trial in run.record.of_purpose("search")}
    assert all(len(packed) == 3 for packed in sealed_predictions(run.config, run.record).values())


def test_test_predictions_are_not_graded_before_the_end(run: Run) -> None:
    run.work()
    rungs = {event.trial: event for event in run.events("rung_reached") if event.trial.startswith("c")}
    assert {(rung.share, rung.accuracy, rung.pgr, rung.se) for rung in rungs.values()} == {
        (1.0, None, None, None)
    }
    assert not run.events("test_opened")


def test_the_confirmation_waits_for_the_last_search_trial(run: Run) -> None:
    while (running := run.patient_next()).rungs != (1.0,) or run.record.ended("completed") < 3:
        run.finish(running)
    assert run.director.next() is None  # the fourth trial that the budget lets on to the end
    assert not run.director.done
    run.finish(running)
    naive = run.director.next()
    assert naive.purpose == "replicate"
    assert run.director.next() is None  # until naive is there
    run.finish(naive)
    assert run.director.next().purpose == "confirm"


def test_the_next_round_is_asked_for_when_the_round_has_been_trained_on(run: Run) -> None:
    run.work(until="t00003")
    assert [len(findings.trials) for findings in run.proposer.shown] == [0]
    run.work(until="t00005")
    # Three of its four trials were given out before, but not half of its training: 0.8 of 1.6.
    assert [len(findings.trials) for findings in run.proposer.shown] == [0, 4]
    run.work()
    assert len(run.proposer.shown) == 2  # the trials end in the second round: no third proposal is of use


def test_a_round_leaves_its_proposal_behind(run: Run) -> None:
    run.work()
    for number in (1, 2):
        text = (run.path / "rounds" / f"{number:03d}" / "proposal.json").read_text()
        [event] = [event for event in run.events("proposed") if event.round == number]
        assert Proposal.model_validate(json.loads(text)) == event.proposal
    assert {name: found.round for name, found in run.record.branches.items()} == {
        "one": 1,
        "two": 1,
        "three": 2,
    }
    assert run.proposer.shown[1].branches[0].branch.name == "one"


def test_branches_take_turns_up_to_the_floor(run: Run) -> None:
    run.work()
    turns = [trial.branch for trial in run.record.of_purpose("search")]
    assert turns[:3] == ["one", "two", "one"]
    # The next round is asked for after the third trial and is there for the fifth; its branch catches up.
    assert turns[3:] == ["two", "three", "three", "one", "two"]


def test_a_failed_confirmation_trial_ends_the_run_all_the_same(run: Run) -> None:
    given = run.work(until="c00005")
    run.director.failed(given[-1].trial, "out of memory")
    run.work()
    assert run.director.done
    assert len(sealed_predictions(run.config, run.record)) == 2


def test_a_confirmation_that_failed_is_tried_again_when_the_run_is_resumed(run: Run) -> None:
    """Or a run whose naive baseline failed once would never come to an outcome."""
    given = run.work(until="c00001")
    run.director.failed(given[-1].trial, "the node's clock was wrong")
    run.work()
    assert run.director.done
    with pytest.raises(RuntimeError, match=r"naive baseline did not .* the node's clock was wrong\."):
        sealed_predictions(run.config, run.record)
    run.restart()
    [again] = run.work(until="c00001-2")
    assert (again.method, again.seed) == (given[-1].method, given[-1].seed)
    run.director.failed(again.trial, "the node's clock was wrong")
    run.restart()
    assert [one.trial for one in run.work()] == ["c00001-3"]
    assert len(sealed_predictions(run.config, run.record)) == 3
    run.restart()
    assert run.work() == []


def test_once_the_test_split_was_opened_nobody_is_confirmed_any_more(run: Run) -> None:
    given = run.work(until="c00005")
    run.director.failed(given[-1].trial, "out of memory")
    run.work()
    run.ledger.append(TestOpened(queries=2))
    run.restart()
    assert run.work() == []


def test_two_trials_at_once(run: Run) -> None:
    running: deque[Assignment] = deque()
    while not run.director.done:
        while len(running) < 2 and (assignment := run.director.next()):
            assert assignment.trial not in [one.trial for one in running]
            running.append(assignment)
        if not running:
            time.sleep(0.002)
            continue
        run.finish(running.popleft())
    assert sum(1 for _ in run.record.of_purpose("search")) == 8
    run.check_optuna()
