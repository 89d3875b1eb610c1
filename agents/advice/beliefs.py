"""What the search's surrogate believes of methods, as an agent may ask for it."""

from collections.abc import Sequence
from typing import Protocol

from agents.language.proposal import Branch
from trainers.component import Frozen
from trainers.method import Method


class Belief(Frozen):
    """The PGR that the surrogate expects of a method on the search split, at the stop where it expects most.

    Of several searched tasks: of their mean, as the objective takes it. low, high: one standard deviation
    below and above. stop: the share of its training where it stops.
    """

    method: Method
    pgr: float
    low: float
    high: float
    stop: float

    @property
    def width(self) -> float:
        """How unsure the surrogate is: from low to high."""
        return self.high - self.low


class Beliefs(Protocol):
    """The surrogate's beliefs at one moment; may be asked from any thread."""

    @property
    def scores(self) -> int:
        """How many scores they rest on."""
        ...

    def of(self, methods: Sequence[Method]) -> tuple[Belief, ...]:
        """A belief for each method."""
        ...

    def sampled(self, branch: Branch) -> tuple[Belief, ...]:
        """Beliefs of methods drawn from a branch, none of which has been tried."""
        ...
