"""How much trouble with workers a run bears. Pure: what happened in, a verdict out."""

import errno
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

from pydantic import Field

from search.ledger.events import WorkerLost
from trainers.component import Frozen

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
RECENT = 1000  # trials


class FaultConfig(Frozen):
    """How many lost workers a run bears: workers that died, or that were ended for being silent too long.

    The run ends when it has lost more than `workers` and more than `share` of its trials, so that a bad node
    cannot use up the campaign. Only the last thousand trials count, and a resumed run counts from zero.
    """

    step_limit_s: Annotated[
        float, Field(gt=0, le=1e7, description="Longest time from one rung to the next, in seconds.")
    ] = 6 * 3600
    retries: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            description="Restarts of a trial that lost its worker; after that it has failed. Workers that "
            "were gone before the trial began there do not count.",
        ),
    ] = 2
    workers: Annotated[
        int, Field(ge=0, le=100_000, description="Lost workers that a run bears, however few its trials.")
    ] = 10
    share: Annotated[
        float,
        Field(ge=0, le=100, description="Lost workers that a run bears, as a share of its last 1000 trials."),
    ] = 0.2


def too_many_lost(config: FaultConfig, lost: Sequence[tuple[WorkerLost, int]], started: int) -> str | None:
    """Why the run must end, in one line, or None while it can go on.

    lost: the workers, each with how many trials had started by then; started: how many have by now.
    """
    trials, of = min(started, RECENT), "" if started <= RECENT else "the last "
    recent = [worker for worker, by_then in lost if started - by_then < RECENT]
    allowed = max(config.workers, int(config.share * trials))
    if len(recent) <= allowed:
        return None
    node, times = Counter(one.node for one in recent).most_common(1)[0]
    where = f"{times} of them on node {node}, " if node else ""
    return (
        f"{len(recent)} workers were lost in {of}{trials} trials, more than faults.workers and "
        f"faults.share allow ({allowed}); {where}the last because: {recent[-1].cause}. "
        "Mend what is at fault, then resume"
    )


def out_of_retries(config: FaultConfig, lost: Iterable[WorkerLost]) -> bool:
    """Whether a trial has lost so many of the workers in which it had begun that it may not start again."""
    return sum(one.begun for one in lost) > config.retries


class Silences:
    """For how long each running trial has said nothing. clock: seconds that only grow."""

    def __init__(self, limit_s: float, clock: Callable[[], float]) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._since: dict[str, float] = {}

    def heard(self, trial: str) -> None:
        """A trial has reported: its time begins again."""
        self._since[trial] = self._clock()

    def overdue(self, running: Sequence[str]) -> list[str]:
        """Those of the running trials that have been silent for too long, each named once.

        A trial seen for the first time counts from now; one that runs no more is forgotten.
        """
        now = self._clock()
        self._since = {trial: self._since.get(trial, now) for trial in running}
        late = [trial for trial, since in self._since.items() if now - since > self._limit_s]
        for trial in late:
            self._since[trial] = float("inf")
        return late
