"""The bill of a campaign: every request to the model, reserved before it is sent and settled by its answer.

A request without a complete answer counts at its reservation, the most that it can cost.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from math import fsum

from agents.findings.usage import Usage

LaneId = tuple[int, str]  # a round's number and the name of a lane in it


@dataclass(kw_only=True)
class _Request:
    lane: LaneId
    reserved_usd: float
    usage: Usage | None = None

    @property
    def counted(self) -> Usage:
        return Usage(usd=self.reserved_usd) if self.usage is None else self.usage


@dataclass
class Bill:
    """The requests so far. Another thread may read it while one adds to it."""

    _requests: dict[int, _Request] = field(default_factory=dict)

    @property
    def next_request(self) -> int:
        """The number of the next request."""
        return max(self._requests, default=0) + 1

    @property
    def usd(self) -> float:
        """Dollars of all requests, each unanswered one at its reservation."""
        return fsum(request.counted.usd for request in list(self._requests.values()))

    @property
    def unanswered_usd(self) -> float:
        """The part of `usd` for requests that were never answered in full."""
        counted = [request.counted for request in list(self._requests.values())]
        return fsum(usage.usd for usage in counted if not usage.requests)

    def reserve(self, request: int, lane: LaneId, usd: float) -> None:
        """Add a request that is about to be sent."""
        self._requests[request] = _Request(lane=lane, reserved_usd=usd)

    def settle(self, request: int, usage: Usage) -> None:
        """Replace a reservation by what the request cost; raises ValueError if nothing is reserved."""
        found = self._requests.get(request)
        if found is None or found.usage is not None:
            raise ValueError(f"the request {request} has no open reservation to settle; restore the ledger")
        found.usage = usage

    def by_lane(self) -> dict[LaneId, Usage]:
        """What each lane of each round has used, in the order of their first requests."""
        total: dict[LaneId, Usage] = defaultdict(Usage)
        for request in list(self._requests.values()):
            total[request.lane] += request.counted
        return dict(total)
