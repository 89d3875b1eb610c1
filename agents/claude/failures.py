"""What a failed request means: whether to try again and when, and whether it may be billed."""

import random
from collections import deque
from collections.abc import Mapping
from itertools import chain

import anthropic
import httpx2

from agents.settings import ClaudeConfig

UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)  # the request has not left
# Statuses that refuse a request before any token is read or written. After any other, a gateway's timeout
# among them, the model may have answered, and the answer be billed.
REFUSED = frozenset({400, 401, 402, 403, 404, 405, 413, 422, 429, 503, 529})
RETRYABLE = frozenset({408, 409, 429})  # statuses; so are all from 500 on
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 8.0
LONGEST_ASKED_S = 60.0  # a longer wait that the API asks for is cut to this


class CallFailedError(Exception):
    """A request failed. retryable: it may succeed later. billed: it may cost although its reply is lost.

    wait_s: the seconds that the API asks to wait, None if it does not say.
    """

    def __init__(
        self, why: str, *, retryable: bool, billed: bool = False, wait_s: float | None = None
    ) -> None:
        super().__init__(why)
        self.retryable = retryable
        self.billed = billed
        self.wait_s = wait_s


def failed(error: anthropic.APIError, why: str) -> CallFailedError:
    """The SDK's error as ours, with the text `why`."""
    match error:
        case anthropic.APIStatusError():
            return CallFailedError(
                why,
                retryable=_retryable(error.status_code, error.response.headers),
                billed=error.status_code not in REFUSED,
                wait_s=_asked_wait(error.response.headers),
            )
        case anthropic.APIConnectionError():
            return CallFailedError(why, retryable=True, billed=not isinstance(error.__cause__, UNSENT))
        case _:
            return CallFailedError(why, retryable=True, billed=True)


def _retryable(status: int, headers: Mapping[str, str]) -> bool:
    told = {"true": True, "false": False}.get(headers.get("x-should-retry", ""))
    return (status in RETRYABLE or status >= 500) if told is None else told


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds from the API's headers; None if there are none or they cannot be read."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return min(seconds, LONGEST_ASKED_S)
    return None


def waits(config: ClaudeConfig) -> deque[float | None]:
    """The seconds before each further attempt: quick retries, then a wait of `backoff_s`, and so on.

    None stands for a quick retry, whose wait depends on the failure, see `quick_wait`.
    """
    quick: list[float | None] = [None] * config.retries
    return deque(chain(quick, *([wait_s, *quick] for wait_s in config.backoff_s)))


def quick_wait(error: CallFailedError, failures: int) -> float:
    """The seconds before a quick retry: what the API asks for, else twice as long after each failure."""
    if error.wait_s is not None:
        return error.wait_s
    doubled = FIRST_WAIT_S * 2.0 ** min(failures - 1, 10)
    return min(doubled, LONGEST_WAIT_S) * random.uniform(0.75, 1.0)
