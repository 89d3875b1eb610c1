"""Messages of the API as the SDK reads them: who answered, what it cost, what cannot be true."""

from typing import Any

import pytest
from anthropic.types.beta import BetaMessage

from agents.claude.service.replies import Reply, read_reply, without_key
from agents.findings.round_proposal import ModelRefusal
from agents.prices import PRICES

OPUS, OLD = "claude-opus-5-5", "claude-opus-4-8"
COUNTS = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
HOP = {"type": "fallback", "from": {"model": OPUS}, "to": {"model": OLD}, "trigger": {"type": "refusal"}}


def read(usage: Any, *, hour: bool = False, content: Any = (), **more: Any) -> Reply:
    told = {"id": "msg_1", "model": OPUS, "content": list(content), "stop_reason": "end_turn", "usage": usage}
    message = BetaMessage.construct(**(told | more))
    return read_reply(message, OPUS, lambda model: PRICES.get(model, PRICES[OPUS]), hour=hour)


def iteration(kind: str, model: str, read: int, written: int) -> dict[str, Any]:
    return {"type": kind, "model": model, "input_tokens": read, "output_tokens": written, **COUNTS}


def test_each_model_of_a_request_has_its_price() -> None:
    parts = [iteration("message", OPUS, 1_000, 0), iteration("fallback_message", OLD, 1_000, 2_000)]
    usage = {"input_tokens": 1_000, "output_tokens": 2_000, **COUNTS, "iterations": parts}
    content = [{"type": "text", "text": "half"}, HOP, {"type": "text", "text": "whole"}]
    reply = read(usage, content=content, model=OLD)
    assert (reply.model, reply.text, len(reply.content)) == (OLD, "whole", 1)
    assert [(one.model, one.category) for one in reply.declined] == [(OPUS, None)]
    assert reply.usage is not None
    # 1,000 at 4 dollars a million, then 1,000 at 5 and 2,000 at 25
    assert reply.usage.usd == pytest.approx((4_000 + 5_000 + 50_000) / 1e6)
    assert (reply.usage.requests, reply.usage.all_input_tokens) == (1, 2_000)


def test_iterations_that_add_up_to_less_than_the_whole_do_not_count() -> None:
    usage = {
        "input_tokens": 1_000,
        "output_tokens": 2_000,
        **COUNTS,
        "iterations": [iteration("message", OPUS, 1, 1)],
    }
    counted = read(usage).usage
    assert counted is not None
    assert counted.usd == pytest.approx((4_000 + 40_000) / 1e6)


@pytest.mark.parametrize("wrong", [-1, None, 2.5])
def test_an_iteration_without_a_number_makes_the_usage_unknown(wrong: Any) -> None:
    broken = iteration("message", OPUS, 1_000, 5) | {"output_tokens": wrong}
    assert read({"input_tokens": 9, "output_tokens": 9, **COUNTS, "iterations": [broken]}).usage is None


@pytest.mark.parametrize(
    ("split", "hour", "usd"),
    [
        ({"ephemeral_1h_input_tokens": 400, "ephemeral_5m_input_tokens": 600}, True, 400 * 8 + 600 * 5),
        ({"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 1_000}, True, 1_000 * 5),
        (None, True, 1_000 * 8),  # not told: as dear as it can be
        ({"ephemeral_1h_input_tokens": 5_000}, True, 1_000 * 8),  # more than was written
        (None, False, 1_000 * 5),
    ],
)
def test_what_is_kept_for_an_hour_costs_more(split: Any, hour: bool, usd: float) -> None:
    usage = {
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_creation_input_tokens": 1_000,
        "cache_read_input_tokens": 0,
        "cache_creation": split,
    }
    counted = read(usage, hour=hour).usage
    assert counted is not None
    assert counted.usd == pytest.approx(usd / 1e6)


def test_a_refusal_is_the_last_to_decline() -> None:
    details = {"type": "refusal", "category": "frontier_llm", "explanation": "competing\nmodels"}
    usage = {"input_tokens": 5, "output_tokens": 1}
    reply = read(usage, content=[HOP], stop_reason="refusal", stop_details=details, model=OLD)
    assert [(one.model, one.category) for one in reply.declined] == [(OPUS, None), (OLD, "frontier_llm")]
    assert reply.declined[-1].explanation == "competing models"
    assert str(reply.declined[0]) == f"{OPUS} refused to answer (no category)"


def test_an_explanation_is_made_plain_and_nothing_becomes_none() -> None:
    told = [ModelRefusal(model=OPUS, category=None, explanation=said) for said in ("the key sk-1", None)]
    plain = without_key(told, lambda text: str(text).replace("sk-1", "(key)"))
    assert [one.explanation for one in plain] == ["the key (key)", None]
