"""A director whose proposer names draws within a round."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import optuna
import pytest

from agents.advice.beliefs import Beliefs
from agents.advice.suggestions import Advice, Tray
from agents.findings.findings import Findings
from agents.findings.round_proposal import LaneReport
from agents.language.proposal import Branch, Proposal
from agents.language.suggestion import NamedValue
from agents.settings import ClaudeConfig
from search.config.schema import RunConfig
from search.engine.advice.requests import lane_name
from search.ledger.events import AnyEvent
from search.scoring.grader import Grader
from search.studies.storage import open_journal
from tests.search.engine.conftest import CrashError, Run, Script

AUX = (0.111, 0.222, 0.333, 0.444)  # that no sampler draws


@dataclass
class Namer(Script):
    """Names logconf with the next of AUX in the first branch, as often as it may; may be told to wait."""

    may_answer: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[int, int, int]] = field(default_factory=list)  # request, most, scores
    left: list[float] = field(default_factory=lambda: list(AUX))
    fails: bool = False

    def advise(self, findings: Findings, beliefs: Beliefs, most: int, request: int) -> Advice:
        assert self.may_answer.wait(30)
        self.asked.append((request, most, beliefs.scores))
        if self.fails:
            raise RuntimeError("no connection")
        tray = Tray(findings, most)
        while tray.left and self.left:
            values = {"loss.kind": "logconf", "loss.logconf.aux": self.left.pop(0), "optim.adamw.lr": 1e-3}
            tray.add("one", [NamedValue(name=name, value=value) for name, value in values.items()], "a test")
        lane = LaneReport(lane=lane_name(request), direction="", source="claude", branches=())
        return Advice(draws=tray.draws, lane=lane)


@pytest.fixture
def naming(
    tmp_path: Path,
    config: RunConfig,
    grader: Grader,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
) -> Iterator[Callable[..., Run]]:
    """naming(share, ...): a run of 16 trials in one round of a branch, whose proposer names draws."""
    runs = []

    def make(share: float, *, answers: bool = True, fails: bool = False) -> Run:
        search = config.search.model_copy(update={"trials": 16, "round_trials": 16})
        agent = ClaudeConfig(suggestions=share)
        script = Namer([proposal(branch("one"))], fails=fails)
        if answers:
            script.may_answer.set()
        runs.append(
            Run(tmp_path, config.model_copy(update={"search": search, "agent": agent}), grader, script)
        )
        return runs[-1]

    yield make
    for run in runs:
        run.director.close()


def searched(run: Run, count: int) -> None:
    """Train so many assignments of the search, waiting for each answer that is about to come."""
    for _ in range(count):
        assignment = run.patient_next()
        assert assignment is not None
        run.finish(assignment)
        pending = run.director._draws._pending
        if pending is not None and run.proposer.may_answer.is_set():
            pending.result(30)


def by_agent(run: Run) -> list[float]:
    return [trial.method.loss.aux for trial in run.record.of_purpose("search") if trial.by == "agent"]


def test_named_draws_are_the_next_draws_up_to_the_share(naming: Callable[..., Run]) -> None:
    run = naming(0.25)
    run.work()
    assert [request for request, _, _ in run.proposer.asked] == [1, 2]
    assert [most for _, most, _ in run.proposer.asked] == [2, 2]
    assert all(scores >= 4 for _, _, scores in run.proposer.asked)
    assert by_agent(run) == list(AUX)  # 4 of 16
    assert run.record.agent_draws == 4
    assert [event.request for event in run.events("draws_named")] == [1, 2]
    assert {lane for _, lane in run.record.lanes} == {"draws-1", "draws-2"}


def test_optuna_is_told_of_them_as_of_any_draw_and_by_whom(naming: Callable[..., Run]) -> None:
    run = naming(0.25)
    run.work()
    run.check_optuna()
    study = optuna.load_study(study_name="one", storage=open_journal(run.path / "optuna.log"))
    told = {t.user_attrs["trial"]: (t.params, t.user_attrs.get("named by")) for t in study.get_trials()}
    for trial in run.record.of_purpose("search"):
        params, by = told[trial.trial]
        assert by == (None if trial.by == "sampler" else "agent")
        if trial.by == "agent":
            assert params["loss.logconf.aux"] == trial.method.loss.aux


@pytest.mark.parametrize(("share", "fails"), [(0.0, False), (0.5, True)])
def test_without_a_share_or_an_answer_the_sampler_draws_all(
    naming: Callable[..., Run], share: float, fails: bool
) -> None:
    run = naming(share, fails=fails)
    run.work()
    assert by_agent(run) == []
    assert run.record.tally("search").started == 16
    assert len(run.proposer.asked) == (2 if fails else 0)
    assert [lane.why for lane in run.record.lanes.values()] == ["RuntimeError: no connection"] * 2 * fails


def test_nobody_waits_for_an_answer_and_a_late_one_counts(naming: Callable[..., Run]) -> None:
    run = naming(0.25, answers=False)
    searched(run, 12)
    assert run.proposer.asked == []
    assert by_agent(run) == []
    assert run.director._draws._pending is not None
    run.proposer.may_answer.set()
    run.work()
    assert by_agent(run) == list(AUX)[: len(by_agent(run))]
    assert by_agent(run)


def test_a_request_that_is_never_answered_is_given_up(
    naming: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = naming(0.25, answers=False)
    monkeypatch.setattr("search.engine.advice.requests.perf_counter", iter(range(0, 10**9, 10**6)).__next__)
    run.work()
    assert [lane.why for lane in run.record.lanes.values()] == [
        "no answer within faults.proposer_limit_s; it is not asked again"
    ]
    run.proposer.may_answer.set()


def test_after_a_crash_the_named_draws_that_had_not_started_still_come(naming: Callable[..., Run]) -> None:
    run = naming(0.25)

    def crash(event: AnyEvent) -> None:
        if event.event == "trial_started" and event.by == "agent":
            raise CrashError

    run.before = crash
    with pytest.raises(CrashError):
        run.work()
    assert len(run.events("draws_named")) == 1
    assert by_agent(run) == []
    run.before = lambda event: None
    run.proposer.left = []
    run.restart()
    run.work()
    assert by_agent(run) == list(AUX[:2])
    assert [request for request, _, _ in run.proposer.asked] == [1, 2]  # the first is not sent again
    run.check_optuna()
