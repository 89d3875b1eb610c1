"""Requests for draws through the real SDK with a server on loopback."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agents.advice.beliefs import Belief
from agents.advice.suggestions import Advice
from agents.claude.transcript import Concluded, Received, read_transcript
from agents.findings.findings import BranchFinding, Findings, TrialFinding
from agents.language.proposal import Branch, Proposal
from tests.agents.claude.conftest import Propose
from tests.servers.messages_api import Scripted, ScriptedClaude, refusal, text, use
from trainers.components.losses import LogConf
from trainers.method import Method

DONE = text("That is all.")


class Flat:
    """Expects 0.4 of every method, and is less sure of a larger aux."""

    scores = 30

    def of(self, methods: Sequence[Method]) -> tuple[Belief, ...]:
        return tuple(
            Belief(method=method, pgr=0.4, low=0.4 - method.loss.aux / 4, high=0.5, stop=1.0)
            for method in methods
        )

    def sampled(self, branch: Branch) -> tuple[Belief, ...]:
        return self.of([Method(loss=LogConf(aux=aux)) for aux in (0.3, 0.9, 0.6)])


def named(aux: float, branch: str = "a") -> Scripted:
    values = [{"name": "loss.logconf.aux", "value": aux}]
    return use("suggest", {"branch": branch, "values": values, "reason": "between the two best"})


@pytest.fixture
def advised(
    proposer: Propose,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    tried: Callable[..., TrialFinding],
) -> Callable[..., Advice]:
    """advised(answers..., most=2, ...): what comes of a request in round 1, where aux 0.5 was tried."""

    def ask(*answers: Scripted, most: int = 2, request: int = 1, **settings: Any) -> Advice:
        found = [BranchFinding(branch=branch("a"), round=1, live=True)]
        findings = campaign(branches=found, trials=(tried("t1", aux=0.5),))
        return proposer(*answers, **settings).advise(findings, Flat(), most, request)

    return ask


def said(claude: ScriptedClaude, request: int) -> dict[str, Any]:
    """The tool's result in a request."""
    result: dict[str, Any] = claude.asked[request]["messages"][-1]["content"][0]
    return result


def test_draws_are_named_by_tool_and_billed_to_the_round_that_runs(
    advised: Callable[..., Advice], claude: ScriptedClaude, tmp_path: Path
) -> None:
    advice = advised(named(0.3), named(0.7), DONE)
    assert [(draw.branch, draw.method.loss.aux) for draw in advice.draws] == [("a", 0.3), ("a", 0.7)]
    assert (advice.lane.lane, advice.lane.why, advice.lane.usage.requests) == ("draws-1", None, 3)
    assert said(claude, 1)["content"].startswith("taken, 1 more may be named: PGR 0.400 (0.325 to 0.500)")
    assert "format" not in claude.asked[0]["output_config"]
    opening = claude.asked[0]["messages"][0]["content"][0]["text"]
    assert "a: loss.logconf.aux" in opening
    assert "rests on 30 scores. You may name up to 2 draws now." in opening
    entries = read_transcript(tmp_path / "rounds" / "001" / "draws-1.jsonl")
    assert sum(isinstance(entry, Received) for entry in entries) == 3
    assert isinstance(entries[-1], Concluded)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (named(0.5), "was tried or named before"),
        (named(7.0), "loss.logconf.aux must be in [0.2, 1], got 7"),
        (named(0.3, "b"), "there is no live branch 'b'; there are a"),
    ],
)
def test_a_refused_draw_comes_back_and_is_reported(
    advised: Callable[..., Advice], claude: ScriptedClaude, call: Scripted, says: str
) -> None:
    advice = advised(call, named(0.4), DONE)
    assert says in said(claude, 1)["content"]
    assert said(claude, 1)["is_error"]
    assert [draw.method.loss.aux for draw in advice.draws] == [0.4]
    assert len(advice.lane.refused) == 1
    assert says in advice.lane.refused[0]


def test_the_surrogate_is_shown_best_or_least_known_first(
    advised: Callable[..., Advice], claude: ScriptedClaude
) -> None:
    values = [{"name": "loss.logconf.aux", "value": 0.8}]
    advised(
        use("outlook", {"branch": "a", "order": "unsure", "limit": 2}),
        use("predict", {"branch": "a", "values": values}),
        DONE,
    )
    assert said(claude, 1)["content"].splitlines() == [
        "PGR 0.400 (0.175 to 0.500) at 1.00 of its training: loss.logconf.aux=0.9",
        "PGR 0.400 (0.250 to 0.500) at 1.00 of its training: loss.logconf.aux=0.6",
    ]
    assert said(claude, 2)["content"].endswith(
        "(0.200 to 0.500) at 1.00 of its training: loss.logconf.aux=0.8"
    )


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (Scripted(status=500, error="overloaded"), "the API gave no answer"),
        (text("", stop="refusal"), "refused to answer"),
        (named(0.6), "used tools in 4 turns without proposing anything"),
    ],
)
def test_what_was_named_before_a_failure_counts(
    advised: Callable[..., Advice], last: Scripted, why: str
) -> None:
    advice = advised(named(0.3), last, most=1, tool_turns=1)
    assert [draw.method.loss.aux for draw in advice.draws] == [0.3]
    assert why in (advice.lane.why or "")


def test_a_model_that_declines_to_draw_is_followed_by_the_next(
    advised: Callable[..., Advice], claude: ScriptedClaude
) -> None:
    advice = advised(named(0.3), refusal(), refusal(), named(0.7), DONE, other_model="claude-haiku-5-5")
    assert [draw.method.loss.aux for draw in advice.draws] == [0.3, 0.7]
    assert [one.category for one in advice.lane.refusals] == ["frontier_llm"] * 2
    assert (advice.lane.model, advice.lane.why) == ("claude-haiku-5-5", None)
    assert [body["model"] for body in claude.asked] == ["claude-opus-5-5"] * 3 + ["claude-haiku-5-5"] * 2


def test_a_spent_budget_names_nothing(advised: Callable[..., Advice]) -> None:
    advice = advised(named(0.3), max_usd=0.0)
    assert advice.draws == ()
    assert advice.lane.budget_spent


def test_a_proposal_is_asked_for_as_before(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
) -> None:
    proposed = proposer(named(0.3), text(spoken(branch("new")))).propose(campaign())
    assert said(claude, 1)["content"].startswith("there is no tool 'suggest'; there are list_trials,")
    assert isinstance(proposed.proposal, Proposal)
    assert claude.asked[0]["output_config"]["format"]["type"] == "json_schema"
