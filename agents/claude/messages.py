"""The Messages API through the anthropic SDK. Every failure becomes a CallFailedError."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import anthropic
import httpx2
from anthropic.types import Message

from agents.claude.budget import priced
from agents.claude.transcript import Block, blotted
from agents.findings.usage import Usage
from agents.language.proposal import printable
from agents.prices import Price
from agents.settings import ClaudeConfig
from trainers.component import Frozen

KEY = "ANTHROPIC_API_KEY"
UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)  # the request cannot be billed
RETRYABLE = frozenset({408, 409, 429})  # statuses; so are all from 500 on


class CallFailedError(Exception):
    """A request failed. retryable: it may succeed later. billed: it may cost although its reply is lost."""

    def __init__(self, why: str, *, retryable: bool, billed: bool = False) -> None:
        super().__init__(why)
        self.retryable = retryable
        self.billed = billed


class ToolUse(Frozen):
    """A tool call of the model; its arguments are unchecked."""

    id: str
    name: str
    arguments: Any


class Reply(Frozen):
    """The model's reply: stop reason, text, tool calls, and the content blocks to send back."""

    stop: str
    text: str
    tools: tuple[ToolUse, ...]
    content: list[Block]
    usage: Usage


class Request(Frozen):
    """A request to the model, without its limit of output tokens."""

    system: list[Block]
    tools: list[Block]
    messages: list[Block]
    format: dict[str, Any]
    may_use_tools: bool


def read_key(config: ClaudeConfig) -> str:
    """The API key from the environment, else from the config's file; raises ValueError if there is none."""
    if key := os.environ.get(KEY, "").strip():
        return key
    if config.key_file is None:
        raise ValueError(
            f"agent.kind is claude, and there is no key: set {KEY}, or agent.key_file to a file that "
            "holds it (agent.kind=playbook needs none)"
        )
    try:
        key = Path(config.key_file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ValueError(f"agent.key_file {config.key_file}: cannot be read ({reason})") from None
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"agent.key_file {config.key_file}: must hold a key and nothing else")
    return key


class Claude:
    """A client of the API for one model; thread-safe. The key does not leave this object."""

    def __init__(self, config: ClaudeConfig, price: Price, key: str) -> None:
        self._config = config
        self._price = price
        self._key = key
        self._client = anthropic.Anthropic(
            api_key=key, base_url=config.base_url, timeout=config.timeout_s, max_retries=config.retries
        )

    @property
    def attempts(self) -> int:
        """The most times that the SDK sends a request."""
        return 1 + self._config.retries

    def check(self) -> None:
        """Check key and model with a free request.

        Raises ValueError, on one line, if the API refuses the key or the model, CallFailedError if it cannot
        be reached, which may have passed when the first proposal is due.
        """
        try:
            self._client.messages.count_tokens(
                model=self._config.model, messages=[{"role": "user", "content": "hello"}]
            )
        except (anthropic.AuthenticationError, anthropic.PermissionDeniedError) as error:
            source = f"in {KEY}" if os.environ.get(KEY, "").strip() else f"of {self._config.key_file}"
            raise ValueError(
                f"the API does not accept the key {source} ({error.status_code}); put a valid one there, "
                "or use agent.kind=playbook"
            ) from None
        except (anthropic.NotFoundError, anthropic.BadRequestError) as error:
            raise ValueError(f"agent.model {self._config.model!r}: {self._status(error)}") from None
        except anthropic.APIError as error:
            raise self._failed(error) from None

    def count(self, request: Request) -> int:
        """Input tokens of a request, counted by the API for free; raises CallFailedError."""
        try:
            counted = self._client.messages.count_tokens(**self._body(request))
        except anthropic.APIError as error:
            raise self._failed(error) from None
        tokens: object = getattr(counted, "input_tokens", None)
        if not isinstance(tokens, int) or tokens < 0:
            raise CallFailedError("the count of tokens came back without a number", retryable=True)
        return tokens

    def create(self, request: Request, max_tokens: int) -> Reply:
        """The model's reply of at most `max_tokens` tokens; raises CallFailedError."""
        try:
            message = self._client.messages.create(max_tokens=max_tokens, **self._body(request))
        except anthropic.APIError as error:
            raise self._failed(error) from None
        except ValueError as error:  # the body claims to be JSON and is not
            raise CallFailedError(
                f"the answer cannot be read: {self.plain(error)}", retryable=True, billed=True
            ) from None
        try:
            return self._reply(message)
        except (AttributeError, TypeError, ValueError) as error:
            raise CallFailedError(
                f"the answer is no message: {self.plain(error)}", retryable=True, billed=True
            ) from None

    def plain(self, error: object) -> str:
        """An error in at most 300 characters on one line, without the key."""
        return " ".join(printable(blotted(str(error), self._key)).split())[:300]

    def _body(self, request: Request) -> dict[str, Any]:
        return {
            "model": self._config.model,
            "system": request.system,
            "messages": request.messages,
            "tools": request.tools,
            "tool_choice": {"type": "auto" if request.may_use_tools else "none"},
            "thinking": {"type": "adaptive"},
            "output_config": {
                "effort": self._config.effort,
                "format": {"type": "json_schema", "schema": request.format},
            },
        }

    def _reply(self, message: Message) -> Reply:
        content = [cast(Block, block.to_dict(mode="json")) for block in message.content]
        usage = message.usage
        return Reply(
            stop=message.stop_reason or "none",
            text="".join(_texts(content)),
            tools=tuple(
                ToolUse(id=block["id"], name=str(block["name"]), arguments=block.get("input"))
                for block in content
                if block.get("type") == "tool_use"
            ),
            content=content,
            usage=priced(
                self._price,
                new=usage.input_tokens,
                cache_write=usage.cache_creation_input_tokens or 0,
                cache_read=usage.cache_read_input_tokens or 0,
                output=usage.output_tokens,
            ),
        )

    def _failed(self, error: anthropic.APIError) -> CallFailedError:
        billed = not isinstance(error.__cause__, UNSENT)
        match error:
            case anthropic.APITimeoutError():
                why = f"no answer within {self._config.timeout_s:g} s, {self.attempts} times"
                return CallFailedError(why, retryable=True, billed=billed)
            case anthropic.APIConnectionError():
                return CallFailedError(
                    f"the connection failed: {self.plain(error)}", retryable=True, billed=billed
                )
            case anthropic.APIStatusError():
                retryable = error.status_code in RETRYABLE or error.status_code >= 500
                return CallFailedError(self._status(error), retryable=retryable)
            case _:
                return CallFailedError(self.plain(error), retryable=True, billed=True)

    def _status(self, error: anthropic.APIStatusError) -> str:
        return self.plain(f"{error.status_code} {error.type or ''}: {error.api_message or error.message}")


def _texts(content: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    return [str(block.get("text", "")) for block in content if block.get("type") == "text"]
