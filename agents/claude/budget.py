"""Tokens and dollars: what was used, and a hard cap that holds for all lanes together."""

import threading

from agents.findings.usage import Usage
from agents.prices import Price
from trainers.component import Frozen

MILLION = 1_000_000
MARGIN = 1.1  # a count of tokens beforehand is an estimate
FEWEST_OUTPUT = 4096  # tokens; an answer that may not be longer than this is not worth asking for


def priced(price: Price, *, new: int, cache_write: int, cache_read: int, output: int) -> Usage:
    """One request's usage with what it cost; `new` are the input tokens outside the cache."""
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
    """What is left of the budget does not pay for one more answer."""


class Reservation(Frozen):
    """Dollars set aside for one request, and how many tokens it may answer with."""

    usd: float
    max_tokens: int


class Budget:
    """Dollars for a whole campaign; safe to share between threads.

    Each request sets aside the most it can cost before it is sent, so that lanes that ask at the same time
    stay under the cap together.
    """

    def __init__(self, max_usd: float, price: Price, spent_usd: float = 0.0) -> None:
        self._max_usd = max_usd
        self._price = price
        self._spent = spent_usd
        self._reserved = 0.0
        self._lock = threading.Lock()

    @property
    def left_usd(self) -> float:
        """What is neither spent nor set aside, never below zero."""
        with self._lock:
            return max(0.0, self._max_usd - self._spent - self._reserved)

    def reserve(self, input_tokens: int, max_tokens: int) -> Reservation:
        """Set aside the most that a request can cost; its answer is shortened to what is left.

        Raises BudgetSpentError if not even a short answer can be paid.
        """
        with self._lock:
            left = self._max_usd - self._spent - self._reserved
            asked = input_tokens * MARGIN * self._price.worst_input / MILLION
            each = self._price.output / MILLION
            affordable = (
                max_tokens if each == 0 and asked <= left else int((left - asked) / (each or MILLION))
            )
            allowed = min(max_tokens, affordable)
            if allowed < min(FEWEST_OUTPUT, max_tokens):
                raise BudgetSpentError(
                    f"the budget is spent: {self._spent:.4f} of {self._max_usd:g} dollars, and one more "
                    f"answer can cost {asked + min(FEWEST_OUTPUT, max_tokens) * each:.4f}"
                )
            reservation = Reservation(usd=asked + allowed * each, max_tokens=allowed)
            self._reserved += reservation.usd
            return reservation

    def settle(self, reservation: Reservation, usd: float) -> None:
        """Give a reservation back and count what its request did cost."""
        with self._lock:
            self._reserved -= reservation.usd
            self._spent += usd
