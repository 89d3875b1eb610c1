"""The prompt cache: how long a prefix is kept, who writes it, and why it was missed.

An entry lives five minutes, or an hour for a dearer write, and longer each time it is read. It can be read
once the answer to the request that wrote it has begun. Of two marks in a request the longer-lived must come
first (platform.claude.com, "Prompt caching"). With a beta header the API says why a prefix could not be
reused ("Cache diagnostics").
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents.claude.transcript import Block
from agents.settings import Cache, Effort

DIAGNOSIS_BETA = "cache-diagnosis-2026-04-07"
SHORT_S, HOUR_S = 300.0, 3600.0
MARGIN = 0.8  # of a lifetime: rounds are not equally long
FIRST_S = 120.0  # longest wait for the first lane's first answer


def mark(*, hour: bool) -> Block:
    """What a block bears at the end of a prefix that is to be kept."""
    return {"cache_control": {"type": "ephemeral", **({"ttl": "1h"} if hour else {})}}


def with_cached_end(messages: Sequence[Block]) -> list[Block]:
    """The messages with a mark on the last block, so that the next request of the lane reads all of them."""
    *before, last = messages
    *blocks, end = last["content"]
    if last["role"] == "assistant" or "cache_control" in end:
        return list(messages)
    return [*before, {**last, "content": [*blocks, {**end, **mark(hour=False)}]}]


class Lifetime:
    """Decides for each round whether the prefix that all rounds share is kept for an hour.

    auto: if the last two rounds began further apart than a five-minute entry lives, and nearer than an
    hour's.
    """

    def __init__(self, setting: Cache, clock: Callable[[], float] = time.monotonic) -> None:
        self._setting = setting
        self._clock = clock
        self._began: float | None = None

    def hour_for_round(self) -> bool:
        """Whether the round that begins now writes to the one-hour cache; to be called once a round."""
        before, self._began = self._began, self._clock()
        if self._setting != "auto":
            return self._setting == "1h"
        return before is not None and MARGIN * SHORT_S < self._began - before < MARGIN * HOUR_S


class FirstLane:
    """Lets the other lanes of a round wait until the first has its first answer: what it wrote is then read.

    Nobody waits longer than `most_s` seconds: then writing it again costs less than the time.
    """

    def __init__(self, first: str, most_s: float = FIRST_S) -> None:
        self._first = first
        self._most_s = most_s
        self._answered = threading.Event()

    def before_asking(self, lane: str) -> None:
        """Wait, unless this is the first lane."""
        if lane != self._first:
            self._answered.wait(self._most_s)

    def answered(self, lane: str) -> None:
        """The lane has an answer, or will have none."""
        if lane == self._first:
            self._answered.set()


@dataclass(frozen=True, kw_only=True)
class Thrift:
    """How the requests of a lane are paid for.

    hour: whether what all rounds share is kept in the cache for an hour. patience: seconds for a request as a
    batch. first: which lane writes the cache for the others. previous: the first message of the lane in the
    round before, for the API to compare with.
    """

    effort: Effort
    hour: bool = False
    patience: float = 0.0
    first: FirstLane | None = None
    previous: str | None = None


def miss_of(message: object) -> str | None:
    """Why the cache could not be read as far as the API expected, in a few words; None if it does not say."""
    reason = getattr(getattr(message, "diagnostics", None), "cache_miss_reason", None)
    kind = getattr(reason, "type", None)
    if not isinstance(kind, str):
        return None
    tokens = getattr(reason, "cache_missed_input_tokens", None)
    return f"{kind[:60]} ({tokens:,} tokens)" if type(tokens) is int else kind[:60]
