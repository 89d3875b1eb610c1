"""The budget in dollars: usage, and a hard cap over all lanes."""

import threading

from agents.findings.usage import Usage
from agents.prices import Price
from trainers.component import Frozen

MILLION = 1_000_000
MARGIN = 1.1  # the count of tokens before a request is an estimate
FEWEST_OUTPUT = 4096  # tokens; a shorter reply is not worth a request


def priced(price: Price, *, new: int, cache_write: int, cache_read: int, output: int) -> Usage:
    """The usage of one request with its cost; `new` counts the input tokens outside the cache."""
    dollars = (
        new * price.input
        + cache_write * price.cache_write
        + cache_read * price.cache_read
        + output * price.output
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


class Reservation(Frozen):
    """Dollars reserved for a request, and the output tokens that they pay for."""

    usd: float
    max_tokens: int


class Budget:
    """The budget of a campaign in dollars; thread-safe.

    Each request reserves its highest possible cost before it is sent, so that parallel lanes stay under the
    cap together.
    """

    def __init__(self, max_usd: float, price: Price, spent_usd: float = 0.0) -> None:
        self._max_usd = max_usd
        self._price = price
        self._spent = spent_usd
        self._reserved = 0.0
        self._lock = threading.Lock()

    @property
    def left_usd(self) -> float:
        """Dollars neither spent nor reserved, never below zero."""
        with self._lock:
            return max(0.0, self._max_usd - self._spent - self._reserved)

    def reserve(self, input_tokens: int, max_tokens: int) -> Reservation:
        """Reserve the highest cost of a request; `max_tokens` shrinks to what the budget pays for.

        Raises BudgetSpentError if the budget does not pay for a short reply.
        """
        with self._lock:
            left = self._max_usd - self._spent - self._reserved
            input_usd = input_tokens * MARGIN * self._price.worst_input / MILLION
            each = self._price.output / MILLION
            affordable = (
                max_tokens if each == 0 and input_usd <= left else int((left - input_usd) / (each or MILLION))
            )
            allowed = min(max_tokens, affordable)
            if allowed < min(FEWEST_OUTPUT, max_tokens):
                raise BudgetSpentError(
                    f"the budget is spent: {self._spent:.4f} of {self._max_usd:g} dollars, and one more "
                    f"answer can cost {input_usd + min(FEWEST_OUTPUT, max_tokens) * each:.4f}"
                )
            reservation = Reservation(usd=input_usd + allowed * each, max_tokens=allowed)
            self._reserved += reservation.usd
            return reservation

    def settle(self, reservation: Reservation, usd: float) -> None:
        """Release a reservation and count the actual cost of its request."""
        with self._lock:
            self._reserved -= reservation.usd
            self._spent += usd
