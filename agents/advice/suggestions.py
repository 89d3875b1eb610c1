"""The draws that an agent names within a round: checked one by one, at most so many."""

import threading
from collections.abc import Sequence

from agents.findings.findings import Findings
from agents.findings.round_proposal import LaneReport
from agents.language.proposal import Branch, Name, Sentence
from agents.language.suggestion import NamedValue, named_method
from trainers.component import Frozen
from trainers.method import Method

MAX_REASON = 400


class NamedDraw(Frozen):
    """A method that an agent names as a next draw of a branch, and why."""

    branch: Name
    method: Method
    reason: Sentence


class Advice(Frozen):
    """What came of one request for draws. lane: who was asked, what it cost, what was refused and why."""

    draws: tuple[NamedDraw, ...]
    lane: LaneReport


class Tray:
    """Takes the draws of one request; thread-safe.

    Every draw is of a live branch, within its space, able to run here, and computes what no trial has
    computed.
    """

    def __init__(self, findings: Findings, most: int) -> None:
        self._findings = findings
        self._most = most
        self._live = {found.branch.name: found.branch for found in findings.branches if found.live}
        self._known = {trial.method.plainest.digest for trial in findings.trials}
        self._known.add(findings.naive.plainest.digest)
        self._draws: list[NamedDraw] = []
        self._refused: list[str] = []
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """Draws that may still be named."""
        return self._most - len(self._draws)

    @property
    def draws(self) -> tuple[NamedDraw, ...]:
        """The draws so far, in the order of their naming."""
        with self._lock:
            return tuple(self._draws)

    @property
    def refused(self) -> tuple[str, ...]:
        """Why suggestions were refused, each once."""
        with self._lock:
            return tuple(dict.fromkeys(self._refused))

    def branch(self, name: str) -> Branch:
        """A branch that may have draws; ValueError for another."""
        if name not in self._live:
            there = ", ".join(self._live) or "none"
            raise ValueError(f"there is no live branch {name[:60]!r}; there are {there}"[:400])
        return self._live[name]

    def method(self, branch: str, values: Sequence[NamedValue]) -> Method:
        """The method of a live branch with these values; ValueError, in a sentence, if there is none."""
        return named_method(self.branch(branch), values, self._findings.naive)

    def add(self, branch: str, values: Sequence[NamedValue], reason: str) -> NamedDraw:
        """Take a draw; ValueError, in a sentence, if it is refused."""
        with self._lock:
            try:
                draw = self._checked(branch, values, reason)
            except ValueError as error:
                self._refused.append(f"{branch[:60]}: {error}")
                raise
            self._draws.append(draw)
            self._known.add(draw.method.plainest.digest)
            return draw

    def _checked(self, branch: str, values: Sequence[NamedValue], reason: str) -> NamedDraw:
        if len(self._draws) >= self._most:
            raise ValueError(f"at most {self._most} draws may be named now")
        method = self.method(branch, values)
        if refusal := method.refused(self._findings.abilities):
            raise ValueError(f"this method cannot run here, {refusal}")
        if method.plainest.digest in self._known:
            raise ValueError("this method, or one that computes the same, was tried or named before")
        return NamedDraw(branch=branch, method=method, reason=reason[:MAX_REASON])
