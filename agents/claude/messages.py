"""The Messages API through the anthropic SDK. Every failure becomes a CallFailedError."""

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar, cast

import anthropic
from anthropic.types import Message
from anthropic.types import Usage as ReportedUsage

from agents.claude.budget import priced
from agents.claude.failures import CallFailedError, failed
from agents.claude.transcript import Block, blotted
from agents.findings.usage import Usage
from agents.prices import Price
from agents.settings import ClaudeConfig
from trainers.component import Frozen
from trainers.printable import is_a_word, printable

KEY = "ANTHROPIC_API_KEY"
UNREADABLE = (ValueError, RecursionError)  # a body that claims to be JSON and is not, or is nested too deep
LONGEST_CONNECT_S = 60.0  # for a connection, which costs nothing

T = TypeVar("T")


class ToolUse(Frozen):
    """A tool call of the model; its arguments are unchecked."""

    id: str
    name: str
    arguments: Any


class Reply(Frozen):
    """The model's reply: stop reason, text, tool calls, and the content blocks to send back.

    usage: None if the API does not say what the reply cost.
    """

    stop: str
    text: str
    tools: tuple[ToolUse, ...]
    content: list[Block]
    usage: Usage | None


class Request(Frozen):
    """A request to the model, without its limit of output tokens. format: a JSON schema, empty for a text."""

    system: list[Block]
    tools: list[Block]
    messages: list[Block]
    format: dict[str, Any]
    may_use_tools: bool


def read_key(config: ClaudeConfig) -> str:
    """The API key from the environment, else from the config's file; raises ValueError if there is none."""
    if key := os.environ.get(KEY, "").strip():
        return _only_a_key(key, KEY)
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
    return _only_a_key(key, f"agent.key_file {config.key_file}")


def _only_a_key(text: str, place: str) -> str:
    """The text, if it can be a key; ValueError, which does not repeat it, where it is more than that."""
    if not is_a_word(text):
        lines = len(text.splitlines())
        more = f", and it has {lines} lines" if lines > 1 else ""
        raise ValueError(f"{place}: must hold a key and nothing else{more}; put only the key there")
    return text


class Claude:
    """A client of the API for one model; thread-safe. The key does not leave this object."""

    def __init__(self, config: ClaudeConfig, price: Price, key: str) -> None:
        self._config = config
        self._price = price
        self._key = key
        self._client = anthropic.Anthropic(
            api_key=key,
            base_url=config.base_url,
            timeout=anthropic.Timeout(config.timeout_s, connect=min(config.timeout_s / 2, LONGEST_CONNECT_S)),
            max_retries=0,  # a retry that the budget does not know of could break the cap
            http_client=anthropic.DefaultHttpxClient(follow_redirects=False),  # nor is a request sent twice
        )

    def check(self) -> None:
        """Check key and model with a free request.

        Raises ValueError, on one line, if the API refuses the key or the model, CallFailedError if it cannot
        be reached, which may have passed when the first proposal is due.
        """
        try:
            free = self._client.with_options(max_retries=self._config.retries).messages
            self._within(
                lambda: free.count_tokens(
                    model=self._config.model, messages=[{"role": "user", "content": "hello"}]
                )
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
            body = self._body(request)
            counted = self._within(lambda: self._client.messages.count_tokens(**body))
        except anthropic.APIError as error:
            raise self._failed(error) from None
        except UNREADABLE as error:
            raise CallFailedError(
                f"the count of tokens cannot be read: {self.plain(error)}", retryable=True
            ) from None
        tokens: object = getattr(counted, "input_tokens", None)
        if not isinstance(tokens, int) or tokens < 0:
            raise CallFailedError("the count of tokens came back without a number", retryable=True)
        return tokens

    def create(self, request: Request, max_tokens: int) -> Reply:
        """The model's reply of at most `max_tokens` tokens; raises CallFailedError. Sends one request."""
        try:
            body = self._body(request)
            message = self._within(lambda: self._client.messages.create(max_tokens=max_tokens, **body))
        except anthropic.APIError as error:
            raise self._failed(error) from None
        except UNREADABLE as error:
            raise CallFailedError(
                f"the answer cannot be read: {self.plain(error)}", retryable=True, billed=True
            ) from None
        try:
            return self._reply(message)
        except (AttributeError, KeyError, TypeError, *UNREADABLE) as error:
            raise CallFailedError(
                f"the answer is no message: {self.plain(error)}", retryable=True, billed=True
            ) from None

    def _within(self, send: Callable[[], T]) -> T:
        """The result of a call, within `timeout_s`; the SDK bounds only the wait for each next byte.

        Raises CallFailedError if it takes longer. Its thread then ends with its connection.
        """
        future: Future[T] = Future()

        def work() -> None:
            try:
                future.set_result(send())
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=work, name="request", daemon=True).start()
        try:
            return future.result(self._config.timeout_s)
        except TimeoutError:
            raise CallFailedError(self._no_answer, retryable=True, billed=True) from None

    @property
    def _no_answer(self) -> str:
        return f"no answer within {self._config.timeout_s:g} s"

    def plain(self, error: object) -> str:
        """An error in at most 300 characters on one line, without the key."""
        return " ".join(printable(blotted(str(error), self._key)).split())[:300]

    def _body(self, request: Request) -> dict[str, Any]:
        return {
            "model": self._config.model,
            "system": request.system,
            "messages": request.messages,
            **_tools(request),
            "thinking": {"type": "adaptive"},
            "output_config": {"effort": self._config.effort} | _format(request.format),
        }

    def _reply(self, message: Message) -> Reply:
        content = _writable([block.to_dict(mode="json", warnings=False) for block in message.content])
        return Reply(
            stop=message.stop_reason or "none",
            text="".join(_texts(content)),
            tools=tuple(
                ToolUse(id=block["id"], name=str(block["name"]), arguments=block.get("input"))
                for block in content
                if block.get("type") == "tool_use"
            ),
            content=content,
            usage=self._usage(message.usage, content),
        )

    def _usage(self, reported: ReportedUsage, content: Sequence[Block]) -> Usage | None:
        """The usage that the API reports, None if it cannot be true."""
        try:
            new, output = reported.input_tokens, reported.output_tokens
            written = reported.cache_creation_input_tokens or 0
            read = reported.cache_read_input_tokens or 0
        except AttributeError:
            return None
        if any(type(tokens) is not int or tokens < 0 for tokens in (new, output, written, read)):
            return None
        if new + written + read == 0 or (content and output == 0):
            return None
        return priced(self._price, new=new, cache_write=written, cache_read=read, output=output)

    def _failed(self, error: anthropic.APIError) -> CallFailedError:
        match error:
            case anthropic.APITimeoutError():
                why = self._no_answer
            case anthropic.APIConnectionError():
                why = f"the connection failed: {self.plain(error)}"
            case anthropic.APIStatusError():
                why = self._status(error)
            case _:
                why = self.plain(error)
        return failed(error, why)

    def _status(self, error: anthropic.APIStatusError) -> str:
        return self.plain(f"{error.status_code} {error.type or ''}: {error.api_message or error.message}")


def _tools(request: Request) -> dict[str, Any]:
    if not request.tools:
        return {}
    return {
        "tools": request.tools,
        "tool_choice": {"type": "auto" if request.may_use_tools else "none"},
    }


def _format(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "schema": schema}} if schema else {}


def _writable(content: list[dict[str, object]]) -> list[Block]:
    """The blocks with a question mark for each lone surrogate, which no file and no request can hold."""
    return cast(list[Block], json.loads(json.dumps(content, ensure_ascii=False).encode(errors="replace")))


def _texts(content: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    return [str(block.get("text", "")) for block in content if block.get("type") == "text"]
