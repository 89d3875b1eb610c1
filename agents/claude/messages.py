"""The Messages API through the anthropic SDK. Every failure becomes a CallFailedError."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import anthropic
from anthropic.types import Message
from anthropic.types.beta import BetaMessage

from agents.claude.budget import Terms
from agents.claude.failures import CallFailedError, failed
from agents.claude.service.attempts import FALLBACK_BETA, Attempt
from agents.claude.service.batches import CANCEL_S, answer_of_batch
from agents.claude.service.caching import DIAGNOSIS_BETA
from agents.claude.service.replies import Reply, read_reply
from agents.claude.transcript import Block, blotted
from agents.prices import BATCH_SHARE, Price, listed, price_of
from agents.settings import ClaudeConfig, Effort
from trainers.component import Frozen
from trainers.printable import is_a_word, printable

KEY = "ANTHROPIC_API_KEY"
UNREADABLE = (ValueError, RecursionError)  # a body that claims to be JSON and is not, or is nested too deep
NO_ADAPTIVE_THINKING = ("claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-5")  # nor an effort
LONGEST_CONNECT_S = 60.0  # for a connection, which costs nothing

T = TypeVar("T")


class Request(Frozen):
    """A request to a model, without its limit of output tokens.

    attempt: which models are asked, `agent.model` alone if None. effort: `agent.effort` if None. hour:
    whether something in it is marked for the one-hour cache. patience: seconds for it as a batch, 0 to send
    it at once. previous: the message that its prefix is compared with if the cache is missed. format: a JSON
    schema, empty for a text.
    """

    attempt: Attempt | None = None
    effort: Effort | None = None
    hour: bool = False
    patience: float = 0.0
    previous: str | None = None
    system: list[Block]
    tools: list[Block]
    messages: list[Block]
    format: dict[str, Any]
    may_use_tools: bool

    @property
    def batched(self) -> bool:
        """Whether it is sent as a batch, in which the API takes no fallbacks."""
        return self.patience > 0 and not (self.attempt and self.attempt.fallbacks)


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


def _others(config: ClaudeConfig) -> dict[str, tuple[str, ...]]:
    """The models besides `agent.model`, by the setting that names them."""
    other = () if config.other_model is None else (config.other_model,)
    return {"agent.fallbacks": config.fallbacks, "agent.other_model": other}


class Claude:
    """A client of the API for the models of a config; thread-safe. The key does not leave this object."""

    def __init__(self, config: ClaudeConfig, price: Price, key: str) -> None:
        """price: of `config.model`. Raises ValueError if the table lacks another model of the config."""
        self._config = config
        self._prices = {config.model: price}
        for setting, models in _others(config).items():
            self._prices |= {model: price_of(model, None, setting) for model in models}
        self._key = key
        self._diagnose = config.diagnose_cache
        self._client = anthropic.Anthropic(
            api_key=key,
            base_url=config.base_url,
            timeout=anthropic.Timeout(config.timeout_s, connect=min(config.timeout_s / 2, LONGEST_CONNECT_S)),
            max_retries=0,  # a retry that the budget does not know of could break the cap
            http_client=anthropic.DefaultHttpxClient(follow_redirects=False),  # nor is a request sent twice
        )

    def price(self, model: str) -> Price:
        """The price of a model that answered; that of `agent.model` where it is another name of it."""
        return self._prices.get(model) or listed(model) or self._prices[self._config.model]

    def _attempt(self, request: Request) -> Attempt:
        return request.attempt or Attempt(model=self._config.model)

    def terms(self, request: Request) -> Terms:
        """What decides the cost of a request besides its tokens."""
        prices = tuple(map(self.price, self._attempt(request).models))
        return Terms(prices=prices, hour=request.hour, share=BATCH_SHARE if request.batched else 1.0)

    def check(self) -> None:
        """Check the key and every model with free requests.

        Raises ValueError, on one line, if the API refuses the key or a model, CallFailedError if it cannot
        be reached, which may have passed when the first proposal is due.
        """
        for setting, models in ({"agent.model": (self._config.model,)} | _others(self._config)).items():
            for model in models:
                self._check(setting, model)

    def _check(self, setting: str, model: str) -> None:
        try:
            free = self._client.with_options(max_retries=self._config.retries).messages
            self._within(
                lambda: free.count_tokens(model=model, messages=[{"role": "user", "content": "hello"}])
            )
        except (anthropic.AuthenticationError, anthropic.PermissionDeniedError) as error:
            source = f"in {KEY}" if os.environ.get(KEY, "").strip() else f"of {self._config.key_file}"
            raise ValueError(
                f"the API does not accept the key {source} ({error.status_code}); put a valid one there, "
                "or use agent.kind=playbook"
            ) from None
        except (anthropic.NotFoundError, anthropic.BadRequestError) as error:
            raise ValueError(f"{setting} {model!r}: {self._status(error)}") from None
        except anthropic.APIError as error:
            raise self._failed(error) from None

    def count(self, request: Request) -> int:
        """Input tokens of a request, counted by the API for free; raises CallFailedError.

        Of several models the one that counts most: they may have different tokenizers.
        """
        return max(self._count(request, model) for model in self._attempt(request).models)

    def _count(self, request: Request, model: str) -> int:
        try:
            body = self._body(request) | {"model": model}
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
            message = self._answer(request, body, max_tokens)
        except anthropic.APIError as error:
            raise self._failed(error) from None
        except UNREADABLE as error:
            raise CallFailedError(
                f"the answer cannot be read: {self.plain(error)}", retryable=True, billed=True
            ) from None
        try:
            share = BATCH_SHARE if request.batched else 1.0
            asked = self._attempt(request).model
            return read_reply(message, asked, self.price, hour=request.hour, share=share)
        except (AttributeError, KeyError, TypeError, *UNREADABLE) as error:
            raise CallFailedError(
                f"the answer is no message: {self.plain(error)}", retryable=True, billed=True
            ) from None

    def _answer(self, request: Request, body: dict[str, Any], max_tokens: int) -> Message | BetaMessage:
        if request.batched:
            params, patience = body | {"max_tokens": max_tokens}, request.patience
            most_s = patience + CANCEL_S + self._config.timeout_s
            return self._within(lambda: answer_of_batch(self._client, params, patience), most_s)
        cached = any("cache_control" in block for block in request.system)
        if not (self._diagnose and cached):
            return self._within(lambda: self._send(request, body, max_tokens, []))
        asking = body | {"diagnostics": {"previous_message_id": request.previous}}
        try:
            return self._within(lambda: self._send(request, asking, max_tokens, [DIAGNOSIS_BETA]))
        except anthropic.BadRequestError as error:
            if not any(word in str(error) for word in ("diagnos", "anthropic-beta")):
                raise
            self._diagnose = False  # nothing was read, so nothing is billed
            return self._within(lambda: self._send(request, body, max_tokens, []))

    def _send(
        self, request: Request, body: dict[str, Any], max_tokens: int, betas: Sequence[str]
    ) -> Message | BetaMessage:
        """The API's message; of a fallback where the model declines and the attempt has any."""
        message: Message | BetaMessage
        if fallbacks := self._attempt(request).fallbacks:
            message = self._client.beta.messages.create(
                max_tokens=max_tokens,
                betas=[*betas, FALLBACK_BETA],
                fallbacks=[{"model": model} for model in fallbacks],
                **body,
            )
        else:
            headers = {"anthropic-beta": ",".join(betas)} if betas else None
            message = self._client.messages.create(max_tokens=max_tokens, extra_headers=headers, **body)
        return message

    def _within(self, send: Callable[[], T], seconds: float | None = None) -> T:
        """The result of a call, within `timeout_s` or so many seconds.

        The SDK bounds only the wait for each next byte.

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
            return future.result(self._config.timeout_s if seconds is None else seconds)
        except TimeoutError:
            raise CallFailedError(self._no_answer, retryable=True, billed=True) from None

    @property
    def _no_answer(self) -> str:
        return f"no answer within {self._config.timeout_s:g} s"

    def plain(self, error: object) -> str:
        """An error in at most 300 characters on one line, without the key."""
        return " ".join(printable(blotted(str(error), self._key)).split())[:300]

    def _body(self, request: Request) -> dict[str, Any]:
        model, effort = self._attempt(request).model, request.effort or self._config.effort
        form = {"format": {"type": "json_schema", "schema": request.format}} if request.format else {}
        thinks = not model.startswith(NO_ADAPTIVE_THINKING)
        return {
            "model": model,
            "system": request.system,
            "messages": request.messages,
            **_tools(request),
            **({"thinking": {"type": "adaptive"}} if thinks else {}),
            "output_config": {**({"effort": effort} if thinks else {}), **form},
        }

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
