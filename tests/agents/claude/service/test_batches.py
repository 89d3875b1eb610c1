"""A request as a batch of one: half the price, and every way in which it may end."""

from collections.abc import Callable
from typing import Any

import pytest

from agents.claude.service import batches
from agents.findings.findings import Findings
from agents.language.proposal import Branch
from tests.agents.claude.conftest import Propose
from tests.servers.messages_api import ScriptedClaude, refusal, text

USAGE = {"input_tokens": 10_000, "output_tokens": 2_000}
FULL = (10_000 * 4 + 2_000 * 20) / 1e6  # dollars


@pytest.fixture
def ask(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
) -> Callable[..., Any]:
    """ask(...): the lane of a second round, for whose batch there are 0.2 seconds."""

    def lane(**settings: Any) -> Any:
        values: dict[str, Any] = {"patience": 0.2, "max_tokens": 10_000} | settings
        ready = proposer(text(spoken(branch("a")), usage=USAGE), **values)
        return ready.propose(campaign(round=2)).lanes[0]

    return lane


def test_an_answer_that_nobody_waits_for_costs_half(ask: Callable[..., Any], claude: ScriptedClaude) -> None:
    lane = ask()
    assert lane.branches == ("a",)
    assert lane.usage.usd == pytest.approx(FULL / 2)
    assert (len(claude.asked), len(claude.batches)) == (0, 1)
    (batch,) = claude.batches.values()
    assert "diagnostics" not in batch["params"]
    assert batch["params"]["max_tokens"] == 10_000


def test_the_first_round_is_waited_for(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
) -> None:
    proposer(text(spoken(branch("a"))), patience=5.0).propose(campaign())
    assert (len(claude.asked), len(claude.batches)) == (1, 0)


@pytest.mark.parametrize("end", ["errored", "expired", "canceled", "never"])
def test_a_batch_without_an_answer_is_not_billed_and_the_request_is_sent_as_usual(
    ask: Callable[..., Any], claude: ScriptedClaude, end: str
) -> None:
    claude.batch = end
    lane = ask()
    assert lane.branches == ("a",)
    assert lane.usage.usd == pytest.approx(FULL)  # a batch that is canceled in time costs nothing
    assert (len(claude.asked), len(claude.batches)) == (1, 1)


def test_a_batch_that_never_ends_counts_in_full_and_the_cap_holds(
    ask: Callable[..., Any], claude: ScriptedClaude
) -> None:
    claude.batch, claude.ignores_cancel = "never", True
    lane = ask()
    assert lane.branches == ("a",)
    most = 10_000 * 20 / 1e6 / 2  # of the batch, and what went in
    assert FULL + most < lane.usage.usd < FULL + most + 0.06
    spent = ask(max_usd=0.5)
    assert spent.usage.usd <= 0.5


def test_money_for_a_batch_alone_ends_in_a_stated_outcome(
    ask: Callable[..., Any], claude: ScriptedClaude
) -> None:
    claude.batch, claude.ignores_cancel = "never", True
    lane = ask(max_usd=0.16, max_tokens=10_000)
    assert lane.budget_spent
    assert str(lane.why).startswith("the budget is spent")
    assert lane.usage.usd <= 0.16


def test_a_lost_batch_may_be_billed(
    ask: Callable[..., Any], claude: ScriptedClaude, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget = claude.batches.__class__.clear
    ended = batches._ended

    def lost(*given: Any) -> bool:
        forget(claude.batches)
        return ended(*given)

    monkeypatch.setattr(batches, "_ended", lost)
    lane = ask()
    assert lane.branches == ("a",)
    assert lane.usage.usd > FULL + 0.1


def test_a_refusal_in_a_batch_is_tried_again_with_fallbacks_outside_of_one(
    proposer: Propose,
    claude: ScriptedClaude,
    campaign: Callable[..., Findings],
    branch: Callable[..., Branch],
    spoken: Callable[..., str],
) -> None:
    ready = proposer(refusal(), text(spoken(branch("a"))), patience=0.2, fallbacks=("claude-opus-4-8",))
    (lane,) = ready.propose(campaign(round=2)).lanes
    assert (lane.branches, len(lane.refusals)) == (("a",), 1)
    assert (len(claude.batches), len(claude.asked)) == (1, 1)
    assert claude.asked[0]["fallbacks"] == [{"model": "claude-opus-4-8"}]
