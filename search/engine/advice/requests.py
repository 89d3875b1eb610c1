"""Asks the agent for draws within a round, in the background: no worker waits for the answer."""

import logging
import math
import threading
from collections.abc import Callable, Container, Iterator
from concurrent.futures import Future
from time import perf_counter

from agents.advice.adviser import Adviser
from agents.advice.beliefs import Beliefs
from agents.advice.suggestions import Advice
from agents.findings.findings import Findings
from agents.findings.proposer import Proposer
from agents.findings.round_proposal import LaneReport
from search.config.schema import RunConfig
from search.engine.findings import brief
from search.ledger.events import AnyEvent, DrawsNamed, LaneAnswered
from search.ledger.record import Record

log = logging.getLogger(__name__)

ASK_AT = (1 / 3, 2 / 3)  # shares of a round's trials that start before a request


def lane_name(request: int) -> str:
    """What the request is called where lanes are listed."""
    return f"draws-{request}"


class DrawRequests:
    """Requests draws from a proposer that can name them, one request at a time and two a round at most.

    A request that fails costs the round nothing but its dollars. One that is never answered is given up, and
    the proposer is not asked for draws again.
    """

    def __init__(self, config: RunConfig, record: Record, proposer: Proposer, *, at_once: bool) -> None:
        """at_once: the answer is there before `take` returns, as in a simulation its time does not count."""
        self._config = config
        self._record = record
        self._adviser = proposer if isinstance(proposer, Adviser) else None
        self._at_once = at_once
        self._pending: Future[Advice] | None = None
        self._asked = (0, 0, 0.0)  # round and number of the last request, and when it was sent

    def go_by(self, config: RunConfig) -> None:
        """Follow a config with other settings from now on."""
        self._config = config

    def close(self) -> None:
        """Wait for no answer any more; a thread ends after its present request."""
        self._pending = self._adviser = None

    def due(self) -> int | None:
        """The number in its round of the request that is due, else None."""
        share, round_ = self._config.suggestions, self._record.rounds
        if not share or self._adviser is None or self._pending is not None or not round_:
            return None
        asked, size = self._record.draw_requests[round_], self._config.search.round_trials
        if asked >= len(ASK_AT):
            return None
        started = self._record.tally("search").started - (round_ - 1) * size
        return asked + 1 if started >= ASK_AT[asked] * size else None

    @property
    def _most(self) -> int:
        """Draws of a request: its part of those that a round leaves to the agent."""
        return max(1, math.ceil(self._config.suggestions * self._config.search.round_trials / len(ASK_AT)))

    def take(
        self, believed: Callable[[], Beliefs | None], used_up: Container[str], *, waiting: int
    ) -> Iterator[AnyEvent]:
        """The events of a request that was answered; sends a request first if one is due.

        believed: the surrogate's beliefs, None while it has too few scores, and then nothing is asked.
        waiting: named draws that have not started, which count against the request.
        """
        if (number := self.due()) and (most := self._most - waiting) > 0 and (beliefs := believed()):
            self._send(brief(self._config, self._record, used_up), beliefs, most, number)
        if self._pending is None:
            return
        round_, request, sent = self._asked
        if self._pending.done():
            advice, self._pending = self._pending.result(), None
        elif perf_counter() - sent > self._config.faults.proposer_limit_s:
            advice = _nothing(request, "no answer within faults.proposer_limit_s; it is not asked again")
            self.close()
        else:
            return
        if advice.lane.why:
            log.warning("round %d: no draws were named: %s", round_, advice.lane.why)
        yield LaneAnswered(round=round_, lane=advice.lane)
        yield DrawsNamed(round=round_, request=request, draws=advice.draws)

    def _send(self, findings: Findings, beliefs: Beliefs, most: int, request: int) -> None:
        adviser, answer = self._adviser, Future[Advice]()
        assert adviser is not None

        def work() -> None:
            try:
                answer.set_result(adviser.advise(findings, beliefs, most, request))
            except Exception as error:  # the boundary of an agent: its failure becomes a line in the ledger
                log.exception("the request for draws failed")
                answer.set_result(_nothing(request, f"{type(error).__name__}: {error}"[:300]))

        # The findings are those of the next round; the request belongs to the one that runs.
        self._pending, self._asked = answer, (self._record.rounds, request, perf_counter())
        if self._at_once:
            work()
        else:
            threading.Thread(target=work, name="draws", daemon=True).start()


def _nothing(request: int, why: str) -> Advice:
    lane = LaneReport(lane=lane_name(request), direction="", source="claude", branches=(), why=why)
    return Advice(draws=(), lane=lane)
