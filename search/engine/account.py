"""The bill of a run in its ledger: a reservation is on the disk before its request is sent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agents.claude.budget import AccountClosedError
from agents.claude.transcript import usage_by_lane
from agents.findings.bill import LaneId
from agents.findings.usage import Usage
from search.ledger.events import RequestReserved, RequestSettled
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.storage.object_store import store


class LedgerAccount:
    """Keeps the bill in the ledger of a run while `writing` has it open."""

    def __init__(self, record: Record) -> None:
        """record: the sum of the ledger's events, which the ledger keeps up to date."""
        self._record = record
        self._ledger: Ledger | None = None
        self._run_dir: Path | None = None
        self._lock = threading.Lock()

    @contextmanager
    def writing(self, ledger: Ledger, run_dir: Path) -> Iterator[None]:
        """Allow requests while the block runs. Those in flight at its end count at their reservations."""
        self._ledger, self._run_dir = ledger, run_dir
        self._carry_over(run_dir)
        try:
            yield
        finally:
            with self._lock:
                self._ledger = None

    def _carry_over(self, run_dir: Path) -> None:
        """Add the lanes of earlier versions, which wrote their usage in reports and transcripts only."""
        earlier = usage_by_lane(run_dir)
        for lane, report in self._record.lanes.items():
            earlier[lane] = max(report.usage, earlier.get(lane, Usage()), key=lambda usage: usage.usd)
        for lane in earlier.keys() - self._record.bill.by_lane().keys():
            if earlier[lane] != Usage():
                self.settle(self.reserve(lane, earlier[lane].usd), earlier[lane])

    @property
    def usd(self) -> float:
        """Dollars of all requests of the run, each unanswered one at its reservation."""
        return self._record.bill.usd

    def reserve(self, lane: LaneId, usd: float) -> int:
        """Write a reservation to the disk, and to the run's object storage if it is there.

        Raises AccountClosedError outside `writing`, OSError if it cannot be written.
        """
        with self._lock:
            if self._ledger is None or self._run_dir is None:
                raise AccountClosedError("the run has ended")
            request, (number, name) = self._record.bill.next_request, lane
            event = RequestReserved(request=request, round=number, lane=name, usd=usd)
            self._ledger.append(event, durable=True)
            try:
                store(self._run_dir)
            except OSError:
                self._ledger.append(RequestSettled(request=request, usage=Usage()))  # it is not sent
                raise
            return request

    def settle(self, request: int, usage: Usage) -> None:
        """Write down what a request cost, unless the run has ended."""
        with self._lock:
            if self._ledger is not None:
                self._ledger.append(RequestSettled(request=request, usage=usage))

    def usage(self, lane: LaneId) -> Usage:
        """What a lane has used in its round."""
        return self._record.bill.by_lane().get(lane, Usage())
