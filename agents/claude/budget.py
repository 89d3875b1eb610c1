"""The budget in dollars: usage, and a hard cap over all lanes, retries and resumes."""

import logging
import threading
from copy import copy
from math import fsum
from typing import Annotated, Protocol

from pydantic import Field

from agents.findings.bill import Bill, LaneId
from agents.findings.usage import Usage
from agents.prices import Price
from trainers.component import Frozen

log = logging.getLogger(__name__)

MILLION = 1_000_000
MARGIN = 1.1  # the count of tokens before a request is an estimate
FEWEST_OUTPUT = 4096  # tokens; a shorter reply is not worth a request


class Terms(Frozen):
    """What decides the cost of a request besides its tokens.

    prices: of each model that may bill it: several where another model answers what the first declines. hour:
    whether it writes to the one-hour cache. share: of the standard price, less than 1 in a batch.
    """

    prices: tuple[Price, ...]
    hour: bool = False
    share: Annotated[float, Field(gt=0, le=1)] = 1.0

    def most(self, tokens: float) -> tuple[float, float]:
        """The most dollars that a million input tokens and a million output tokens can cost in a request.

        tokens: the input tokens of the request, cached or not.
        """
        rates = [price.at(tokens) for price in self.prices]
        inputs = fsum(rate.worst_input(hour=self.hour) for rate in rates)
        return self.share * inputs, self.share * fsum(rate.output for rate in rates)


def priced(
    price: Price,
    *,
    new: int,
    cache_write: int,
    cache_read: int,
    output: int,
    hour_write: int = 0,
) -> Usage:
    """The usage of one request with its cost; `new` counts the input tokens outside the cache.

    hour_write: how many of the tokens `cache_write` went to the one-hour cache.
    """
    rates = price.at(new + cache_write + cache_read)
    dollars = (
        new * rates.input
        + (cache_write - hour_write) * rates.cache_write
        + hour_write * rates.hour_write
        + cache_read * rates.cache_read
        + output * rates.output
    )
    return Usage(
        requests=1,
        input_tokens=new,
        cache_write_tokens=cache_write,
        cache_read_tokens=cache_read,
        output_tokens=output,
        usd=dollars / MILLION,
    )


class BudgetSpentError(Exception):
    """The rest of the budget does not pay for another reply."""


class AccountClosedError(Exception):
    """The run has ended; no further request may be sent."""


class Account(Protocol):
    """Keeps the bill of a campaign; thread-safe.

    A reservation must outlive the process before its request is sent: when the process is killed, its
    successor counts the request at its reservation.
    """

    @property
    def usd(self) -> float:
        """Dollars of all requests, each unanswered one at its reservation."""
        ...

    def reserve(self, lane: LaneId, usd: float) -> int:
        """Write down a request that is about to be sent; returns its number.

        Raises AccountClosedError after the end of the run, OSError if it cannot be written down. If it raises
        anything, the request must not be sent.
        """
        ...

    def settle(self, request: int, usage: Usage) -> None:
        """Write down what a request cost. After the end of the run it keeps counting at its reservation."""
        ...

    def usage(self, lane: LaneId) -> Usage:
        """What a lane has used in its round, in earlier processes too."""
        ...


class MemoryAccount:
    """An account that ends with its process, for a proposal outside a run."""

    def __init__(self) -> None:
        self._bill = Bill()
        self._lock = threading.Lock()

    @property
    def usd(self) -> float:
        """Dollars so far."""
        return self._bill.usd

    def reserve(self, lane: LaneId, usd: float) -> int:
        """Add a request."""
        with self._lock:
            request = self._bill.next_request
            self._bill.reserve(request, lane, usd)
            return request

    def settle(self, request: int, usage: Usage) -> None:
        """Replace the reservation of a request by its cost."""
        self._bill.settle(request, usage)

    def usage(self, lane: LaneId) -> Usage:
        """What a lane has used."""
        return self._bill.by_lane().get(lane, Usage())


class Reservation(Frozen):
    """Dollars reserved for a request, and the output tokens that they pay for."""

    request: int
    usd: float
    max_tokens: int


class Budget:
    """The budget of a campaign in dollars; thread-safe.

    Each attempt at a request reserves its highest possible cost in the account before it is sent, so that
    parallel lanes stay under the cap together, whatever becomes of their requests.
    """

    def __init__(self, max_usd: float, price: Price, account: Account) -> None:
        self._max_usd = max_usd
        self._terms = Terms(prices=(price,))
        self._account = account
        self._lock = threading.Lock()

    def at(self, price: Price) -> "Budget":
        """The same budget, for requests to a model of another price."""
        other = copy(self)  # with the same account and lock
        other._terms = Terms(prices=(price,))
        return other

    @property
    def left_usd(self) -> float:
        """Dollars neither spent nor reserved, never below zero."""
        return max(0.0, self._max_usd - self._account.usd)

    def reserve(
        self, input_tokens: int, max_tokens: int, lane: LaneId, terms: Terms | None = None
    ) -> Reservation:
        """Reserve the highest cost of a request; `max_tokens` shrinks to what the budget pays for.

        terms: those of the budget's price unless given. Raises BudgetSpentError if the budget does not pay
        for a short reply.
        """
        with self._lock:
            counted = self._account.usd
            left = self._max_usd - counted
            most_tokens = input_tokens * MARGIN
            input_price, output_price = (terms or self._terms).most(most_tokens)
            input_usd, each = most_tokens * input_price / MILLION, output_price / MILLION
            affordable = (
                max_tokens if each == 0 and input_usd <= left else int((left - input_usd) / (each or MILLION))
            )
            allowed = min(max_tokens, affordable)
            if allowed < min(FEWEST_OUTPUT, max_tokens):
                raise BudgetSpentError(
                    f"the budget is spent: {counted:.4f} of {self._max_usd:g} dollars, and one more "
                    f"answer can cost {input_usd + min(FEWEST_OUTPUT, max_tokens) * each:.4f}"
                )
            usd = input_usd + allowed * each
            return Reservation(request=self._account.reserve(lane, usd), usd=usd, max_tokens=allowed)

    def settle(self, reservation: Reservation, usage: Usage) -> None:
        """Replace a reservation by the usage of its request."""
        if usage.usd > reservation.usd:
            log.warning("an answer cost %.4f dollars; at most %.4f was expected", usage.usd, reservation.usd)
        self._account.settle(reservation.request, usage)
