"""Proposers that are slow, run dry or propose what cannot run."""

import heapq
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.language.proposal import Branch, Proposal
from search.config.schema import RunConfig
from search.engine.assignment import Assignment
from search.engine.director import SearchFailedError
from search.scoring.grader import Grader
from tests.search.engine.conftest import Run, Script, Slow


def _answered(run: Run) -> bool:
    """Whether the proposer has answered all that it was asked."""
    asked = run.director._rounds._request
    return asked is None or asked.done()


def test_a_slow_proposer_holds_nobody_up(
    tmp_path: Path,
    config: RunConfig,
    grader: Grader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
) -> None:
    slow = Slow([proposal(branch("one")), proposal(branch("two"))])
    run = Run(tmp_path, config, grader, slow)
    given = run.work(until="t00006")
    assert {run.record.trials[one.trial].branch for one in given} == {"one"}
    assert run.record.rounds == 1
    slow.answer.set()
    run.finish(given[-1])
    deadline = time.monotonic() + 30
    while not (len(slow.shown) == 2 and _answered(run)) and time.monotonic() < deadline:
        time.sleep(0.002)
    assert run.record.trials[run.director.next().trial].branch == "two"
    assert run.record.rounds == 2
    assert len(slow.shown[1].trials) == 4  # what was known when it was requested
    run.director.close()


def test_workers_stay_busy_while_a_slow_proposer_thinks(
    tmp_path: Path,
    config: RunConfig,
    grader: Grader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
) -> None:
    """Four workers in virtual time: 30 s a full training, 60 s for an answer, longer than a round takes."""
    search = config.search.model_copy(update={"trials": 60, "round_trials": 15})
    slow = Slow([proposal(branch(f"{i}-a"), branch(f"{i}-b")) for i in range(4)])
    run = Run(tmp_path, config.model_copy(update={"search": search}), grader, slow)
    running: list[tuple[float, str, Assignment]] = []
    now, busy, requested_at = 0.0, 0.0, None
    while True:
        while len(running) < 4 and (assignment := run.director.next()) and assignment.purpose == "search":
            seconds = 30 * (assignment.rungs[0] - (1 / 3 if assignment.rungs == (1.0,) else 0))
            heapq.heappush(running, (now + seconds, assignment.trial, assignment))
            busy += seconds
        if not running:
            break
        now, _, ended = heapq.heappop(running)
        run.finish(ended)
        request = run.director._rounds._request
        requested_at = None if request is None else now if requested_at is None else requested_at
        if requested_at is not None and now >= requested_at + 60:
            slow.answer.set()
            request.result(30)
            slow.answer.clear()
    assert run.record.rounds > 1
    assert busy / (4 * now) > 0.95
    slow.answer.set()
    run.director.close()


def test_the_confirmation_does_not_wait_for_a_proposal_without_trials_to_give(
    tmp_path: Path,
    config: RunConfig,
    grader: Grader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
) -> None:
    slow = Slow([proposal(branch("one")), proposal(branch("two"))])
    run = Run(tmp_path, config, grader, slow)
    given = run.work()
    searched = len(given) - 10  # 8 trials to their first rung, and a few that the surrogate lets go on
    assert 8 < searched <= 16
    assert [one.purpose for one in given] == ["search"] * searched + ["replicate"] + ["confirm"] * 9
    assert run.record.rounds == 1
    slow.answer.set()
    run.director.close()


def test_used_up_branches_bring_the_next_round_forward(
    tmp_path: Path,
    config: RunConfig,
    grader: Grader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
) -> None:
    small = [proposal(branch(f"small-{i}", lrs=(i * 1e-3 + 1e-4, i * 1e-3 + 2e-4))) for i in range(4)]
    run = Run(tmp_path, config, grader, Script(small))
    run.work()
    assert run.record.rounds == 4
    assert sum(1 for _ in run.record.of_purpose("search")) == 8
    assert [one.live for one in run.proposer.shown[2].branches] == [False, False]
    run.check_optuna()
    run.director.close()


def test_when_nothing_new_is_proposed_what_there_is_goes_to_confirmation(
    tmp_path: Path,
    config: RunConfig,
    grader: Grader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
) -> None:
    run = Run(tmp_path, config, grader, Script([proposal(branch("small", lrs=(1e-4, 2e-4, 3e-4)))]))
    given = run.work()
    # Naive and one finalist on three seeds: the other methods are its near-twins.
    assert [one.purpose for one in given] == ["search"] * 6 + ["replicate"] + ["confirm"] * 6
    run.director.close()


def test_whoever_takes_a_confirmation_over_does_not_go_back_to_the_search(
    tmp_path: Path,
    config: RunConfig,
    grader: Grader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The finalists are fixed by then, though a new process may find methods where the last one gave up."""
    script = Script([proposal(branch("small", lrs=tuple(i * 1e-4 for i in range(1, 13))))])
    run = Run(tmp_path, config, grader, script)
    with monkeypatch.context() as patch:
        patch.setattr("search.studies.branch_sampler.ATTEMPTS", 1)
        run.work(until="c00004")
    assert run.record.tally("search").started < 8
    run.restart()
    assert [one.trial for one in run.work()] == [f"c{i:05d}" for i in range(4, 7)]
    run.director.close()


def test_no_method_is_tried_twice_also_by_two_branches_and_two_processes(
    tmp_path: Path,
    config: RunConfig,
    grader: Grader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
) -> None:
    overlapping = proposal(branch("a", lrs=(1e-4, 2e-4, 3e-4)), branch("b", lrs=(2e-4, 3e-4, 4e-4)))
    run = Run(tmp_path, config, grader, Script([overlapping]))
    run.work(until="t00003")
    run.restart()
    run.work()
    tried = [trial.method.optim.lr for trial in run.record.of_purpose("search")]
    assert sorted(tried) == [1e-4, 2e-4, 3e-4, 4e-4]
    run.director.close()


def test_a_first_proposal_that_cannot_run_ends_the_run(
    tmp_path: Path, config: RunConfig, grader: Grader, branch: Callable[..., Branch]
) -> None:
    bad = branch("bad", lrs=(5.0,))
    run = Run(tmp_path, config, grader, Script([Proposal(branches=(bad,), rationale="")]))
    with pytest.raises(SearchFailedError, match="first proposal has no branch that can run"):
        run.director.next()
    assert not run.events("proposed")
    run.director.close()


def test_only_the_branches_that_pass_the_checks_start(
    tmp_path: Path,
    config: RunConfig,
    grader: Grader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
    caplog: pytest.LogCaptureFixture,
) -> None:
    mixed = proposal(branch("bad", lrs=(5.0, 6.0)), branch("good"))
    run = Run(tmp_path, config, grader, Script([mixed]))
    assert run.director.next() is not None
    assert list(run.record.branches) == ["good"]
    assert "round 1: branches[0]" in caplog.text
    run.director.close()
