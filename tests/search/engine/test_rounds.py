import threading
from collections.abc import Callable
from concurrent.futures import wait
from types import SimpleNamespace
from typing import Any

import pytest

from agents.findings.findings import Findings
from agents.findings.round_proposal import LaneReport, Note, RoundProposal
from agents.findings.usage import Usage
from agents.language.proposal import Branch, Proposal
from agents.language.validation import Problem
from agents.playbook.named import fixed_branch
from search.config.own import OwnMethod
from search.config.schema import RunConfig
from search.engine.rounds import (
    FIRST_WAIT_S,
    Rounds,
    TimedProposal,
    check_own_branches,
    checked,
    late_lanes,
    round_events,
)
from search.ledger.events import (
    BranchesRefused,
    LaneAnswered,
    NoteLeft,
    Proposed,
    RequestReserved,
    RequestSettled,
)
from search.ledger.record import Record
from search.policy.faults import FaultConfig
from trainers.components.labels import Soft
from trainers.method import Method


class Thinking:
    """Answers when it is told to."""

    def __init__(self, answer: Proposal | Exception) -> None:
        self.may = threading.Event()
        self.answer = answer

    def propose(self, findings: Findings) -> Proposal:
        assert self.may.wait(30)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def waited(rounds: Rounds) -> TimedProposal:
    for _ in range(30):
        if proposal := rounds.take((), 0.0):
            return proposal
    raise AssertionError("no answer came")


def test_the_first_proposal_is_not_waited_for_without_end(
    config: RunConfig,
    branch: Callable[..., Branch],
    proposal: Callable[..., Proposal],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    def noted(requests: Any, timeout: float) -> None:
        waits.append(timeout)
        wait(requests, timeout if thinking.may.is_set() else 0)

    monkeypatch.setattr("search.engine.rounds.wait", noted)
    thinking = Thinking(proposal(branch("a")))
    rounds = Rounds(config, Record(), thinking)
    assert rounds.take((), 0.0) is None
    assert waits == [FIRST_WAIT_S]
    assert rounds.pending
    thinking.may.set()
    assert waited(rounds).round_proposal.proposal == proposal(branch("a"))
    assert not rounds.pending
    rounds.close()


def test_a_proposer_that_never_answers_is_answered_for_by_the_playbook_from_then_on(
    config: RunConfig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.engine.rounds.FIRST_WAIT_S", 0.15)
    impatient = config.model_copy(update={"faults": FaultConfig(proposer_limit_s=0.1)})
    silent = Thinking(RuntimeError("told after all"))
    rounds = Rounds(impatient, Record(), silent)
    first = waited(rounds).round_proposal
    why = "the proposer did not answer within faults.proposer_limit_s (0.1 s)"
    assert [(lane.source, lane.why) for lane in first.lanes] == [("playbook", why)]
    assert caplog.messages == [f"{why}: the playbook proposes for the rest of this run"]
    assert not rounds.pending
    again = waited(rounds).round_proposal  # whether by its limit or by an answer, it is the playbook's
    assert again.proposal.branches == first.proposal.branches
    silent.may.set()
    rounds.close()


def test_a_proposer_that_breaks_is_answered_for_by_the_playbook(config: RunConfig) -> None:
    broken = Thinking(RuntimeError("no network"))
    broken.may.set()
    answer = waited(Rounds(config, Record(), broken)).round_proposal
    assert len(answer.proposal.branches) == config.agent.branches
    assert [(lane.source, lane.why) for lane in answer.lanes] == [("playbook", "RuntimeError: no network")]


@pytest.fixture
def answer(proposal: Callable[..., Proposal], branch: Callable[..., Branch]) -> RoundProposal:
    lanes = tuple(
        LaneReport(
            lane=name,
            direction="west",
            source="claude",
            branches=("a",),
            refused=("branches[1]: no",),
            usage=Usage(requests=1, input_tokens=10, cache_read_tokens=90, output_tokens=5, usd=0.25),
        )
        for name in ("1", "2")
    )
    return RoundProposal(
        proposal=proposal(branch("a")), lanes=lanes, notes=(Note(round=3, lane="1", text="so it is"),)
    )


def test_the_ledger_is_told_of_lanes_notes_and_refusals(answer: RoundProposal) -> None:
    events = list(round_events(3, answer, [Problem(branch=0, place="branches[0]", text="is a twin")]))
    assert [type(event) for event in events] == [LaneAnswered, LaneAnswered, NoteLeft, BranchesRefused]
    record = Record.of(events)
    assert list(record.lanes) == [(3, "1"), (3, "2")]
    assert record.notes[0].text == "so it is"
    assert record.refused == [(3, "branches[1]: no"), (3, "branches[0]: is a twin")]


def test_a_round_that_was_asked_again_counts_once(answer: RoundProposal, events: SimpleNamespace) -> None:
    record = Record.of([*round_events(3, answer, ()), *round_events(3, answer, ())])
    assert sum(lane.usage.usd for lane in record.lanes.values()) == 0.5


def test_an_answer_that_came_too_late_is_paid_for_all_the_same(answer: RoundProposal) -> None:
    record = Record.of(round_events(1, answer, ()))
    for request, (number, lane) in enumerate([(1, "1"), (2, "1"), (2, "1")], start=1):
        record.apply(RequestReserved(request=request, round=number, lane=lane, usd=0.5))
    record.apply(RequestSettled(request=2, usage=Usage(requests=1, output_tokens=7, usd=0.125)))
    (late,) = late_lanes(record)
    assert isinstance(late, LaneAnswered)
    assert (late.round, late.lane.lane, late.lane.usage.usd) == (2, "1", 0.125 + 0.5)
    record.apply(late)
    assert list(late_lanes(record)) == []


def test_a_proposer_without_lanes_has_nothing_more_to_tell(proposal: Callable[..., Proposal]) -> None:
    assert list(round_events(1, RoundProposal(proposal=proposal(), lanes=()), ())) == []


@pytest.mark.parametrize("breaks", [False, True])
def test_a_simulation_has_its_answer_at_once(
    config: RunConfig, branch: Callable[..., Branch], proposal: Callable[..., Proposal], breaks: bool
) -> None:
    ready = Thinking(RuntimeError("no network") if breaks else proposal(branch("a")))
    ready.may.set()
    rounds = Rounds(config, Record(), ready, at_once=True)
    answer = rounds.take((), 0.0)
    assert answer is not None
    assert [lane.source for lane in answer.round_proposal.lanes] == ["playbook"] * breaks
    assert breaks or answer.round_proposal.proposal == proposal(branch("a"))
    assert not rounds.pending
    rounds.close()


def own(name: str, temperature: float) -> Branch:
    return fixed_branch(name, Method(labels=Soft(temperature=temperature)), Method(), "Doubt is kept.")


def test_the_first_round_begins_with_the_config_s_own_branches(
    config: RunConfig,
) -> None:
    mine, theirs = own("mine", 2.0), own("theirs", 3.0)
    brought = config.model_copy(update={"branches": (mine,)})
    check_own_branches(brought)
    proposed = Proposal(branches=(theirs,), rationale="")
    first, found = checked(brought, Record(), proposed)
    assert first.branches == (mine, theirs)
    assert found == []
    begun = Proposed(round=1, proposal=first, seconds=0.0)
    second, _ = checked(brought, Record.of([begun]), Proposal(branches=(own("later", 4.0),), rationale=""))
    assert second.branches == (own("later", 4.0),)


def test_own_branches_that_cannot_run_are_refused_before_anything_starts(config: RunConfig) -> None:
    wrong = own("mine", 2.0).model_copy(update={"parent": "nobody"})
    with pytest.raises(ValueError, match=r"^branches\[0\]\.parent: no earlier branch is called 'nobody'"):
        check_own_branches(config.model_copy(update={"branches": (wrong,)}))
    pairs = config.model_copy(update={"methods": (OwnMethod(name="both-orders", slots={}),)})
    with pytest.raises(ValueError, match=r"^methods: both-orders: holds a method that cannot run here"):
        check_own_branches(pairs)
    check_own_branches(config)
