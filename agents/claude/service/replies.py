"""A message of the API as ours: text, tool calls, who answered, why it declined, what it cost."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from anthropic.types import Message
from anthropic.types.beta import BetaMessage

from agents.claude.budget import priced
from agents.claude.service.caching import miss_of
from agents.claude.transcript import Block
from agents.findings.round_proposal import ModelRefusal
from agents.findings.usage import Usage
from agents.prices import Price
from trainers.component import Frozen
from trainers.printable import one_line

PriceOf = Callable[[str], Price]
SAMPLED = ("message", "fallback_message")  # iterations of a request in which a model wrote an answer


class ToolUse(Frozen):
    """A tool call of the model; its arguments are unchecked."""

    id: str
    name: str
    arguments: Any


class Reply(Frozen):
    """The model's reply: who answered, stop reason, text, tool calls, and the content blocks to send back.

    usage: None if the API does not say what the reply cost. declined: the models that declined, in order: the
    last of them gave this reply if its stop reason is `refusal`. cache_miss: why the API could not reuse what
    was cached, None if it does not say.
    """

    id: str
    model: str
    stop: str
    text: str
    tools: tuple[ToolUse, ...]
    content: list[Block]
    usage: Usage | None
    declined: tuple[ModelRefusal, ...] = ()
    cache_miss: str | None = None


def read_reply(
    message: Message | BetaMessage, asked: str, price_of: PriceOf, *, hour: bool, share: float = 1.0
) -> Reply:
    """The API's message as a reply.

    asked: the model that the request named. price_of: the price of any model that may have answered. hour:
    whether the request may write to the one-hour cache. share: of the standard price.

    Raises AttributeError, KeyError, TypeError or ValueError if it is no message.
    """
    content = _writable([block.to_dict(mode="json", warnings=False) for block in message.content])
    hops = [place for place, block in enumerate(content) if block.get("type") == "fallback"]
    declined = [_hop(content[place]) for place in hops]
    if message.stop_reason == "refusal":
        declined.append(_refusal(message, asked))
    usage = _usage(message, asked, price_of, content, hour=hour, handed_on=bool(hops))
    if usage is not None:
        usage = usage.model_copy(update={"usd": share * usage.usd})
    own = content[hops[-1] + 1 :] if hops else content  # what a model wrote before it declined is no answer
    return Reply(
        id=str(message.id or ""),
        model=one_line(str(message.model or asked))[:100],
        stop=message.stop_reason or "none",
        text="".join(_texts(own)),
        tools=tuple(
            ToolUse(id=block["id"], name=str(block["name"]), arguments=block.get("input"))
            for block in own
            if block.get("type") == "tool_use"
        ),
        content=own,
        usage=usage,
        declined=tuple(declined),
        cache_miss=_said(miss_of(message), 100),
    )


def without_key(refusals: Sequence[ModelRefusal], plain: Callable[[object], str]) -> tuple[ModelRefusal, ...]:
    """The refusals with their explanations made plain. plain: as `Claude.plain`, which blots out the key."""
    return tuple(
        refusal.model_copy(update={"explanation": refusal.explanation and plain(refusal.explanation)})
        for refusal in refusals
    )


def _refusal(message: Message | BetaMessage, asked: str) -> ModelRefusal:
    details = getattr(message, "stop_details", None)
    return ModelRefusal(
        model=one_line(str(message.model or asked))[:100],
        category=_said(getattr(details, "category", None), 100),
        explanation=_said(getattr(details, "explanation", None), 600),
    )


def _hop(block: Block) -> ModelRefusal:
    """The model that declined where another one took over within the request."""
    model = (block.get("from") or block.get("from_") or {}).get("model")
    category = (block.get("trigger") or {}).get("category")
    return ModelRefusal(model=_said(model, 100) or "a model", category=_said(category, 100))


def _said(text: object, most: int) -> str | None:
    return one_line(str(text))[:most].strip() or None if text is not None else None


def _usage(
    message: Message | BetaMessage,
    asked: str,
    price_of: PriceOf,
    content: Sequence[Block],
    *,
    hour: bool,
    handed_on: bool,
) -> Usage | None:
    """The usage that the API reports, None if it cannot be true.

    Where several models worked on a request, each of them at its price; what a model that declined has read
    counts, although the API bills it only if it had begun to answer.
    """
    reported = getattr(message, "usage", None)
    parts = [part for part in _iterations(reported) if getattr(part, "type", None) in SAMPLED]
    served = str(message.model or asked) if parts or handed_on else asked
    whole = _part(reported, price_of(served), hour=hour)
    if whole is None or whole.all_input_tokens == 0 or (content and whole.output_tokens == 0):
        return None
    if not parts:
        return whole
    usages = [_part(part, price_of(str(getattr(part, "model", None) or asked)), hour=hour) for part in parts]
    total = Usage()
    for usage in usages:
        if usage is None:
            return None
        total += usage
    return total.model_copy(update={"requests": 1, "usd": max(total.usd, whole.usd)})


def _iterations(reported: object) -> Sequence[object]:
    found = getattr(reported, "iterations", None)
    return found if isinstance(found, list) else ()


def _part(reported: object, price: Price, *, hour: bool) -> Usage | None:
    """The usage of one model in a request; None if a count is none."""
    new, output = getattr(reported, "input_tokens", None), getattr(reported, "output_tokens", None)
    written = getattr(reported, "cache_creation_input_tokens", None) or 0
    read = getattr(reported, "cache_read_input_tokens", None) or 0
    if any(type(tokens) is not int or tokens < 0 for tokens in (new, output, written, read)):
        return None
    for_an_hour = getattr(getattr(reported, "cache_creation", None), "ephemeral_1h_input_tokens", None)
    if type(for_an_hour) is not int or not 0 <= for_an_hour <= written:
        for_an_hour = written if hour else 0
    return priced(
        price,
        new=cast(int, new),
        cache_write=written,
        cache_read=read,
        output=cast(int, output),
        hour_write=for_an_hour,
    )


def _writable(content: list[dict[str, object]]) -> list[Block]:
    """The blocks with a question mark for each lone surrogate, which no file and no request can hold."""
    return cast(list[Block], json.loads(json.dumps(content, ensure_ascii=False).encode(errors="replace")))


def _texts(content: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    return (str(block.get("text", "")) for block in content if block.get("type") == "text")
