"""How many lost workers a run tolerates, and when a trial is silent for too long. Pure."""

import errno
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

from pydantic import Field

from search.ledger.events import WorkerLost
from trainers.component import Frozen

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
RECENT_TRIALS = 1000  # losses before the last so many trials no longer count


class FaultConfig(Frozen):
    """How many lost workers a run tolerates. A lost worker died, or was killed after too long a silence.

    The run ends when it has lost more than `workers` and more than `share` of its trials, so that a bad node
    cannot use up the campaign. Only the last 1000 trials count, and a resumed run counts from zero.
    """

    step_limit_s: Annotated[
        float, Field(gt=0, le=1e7, description="Longest time from one rung to the next, in seconds.")
    ] = 6 * 3600
    retries: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            description="Restarts of a trial that lost its worker; after that it has failed. Workers lost "
            "before the trial began in them do not count.",
        ),
    ] = 2
    workers: Annotated[
        int, Field(ge=0, le=100_000, description="Lost workers that a run tolerates, however few its trials.")
    ] = 10
    share: Annotated[
        float,
        Field(
            ge=0, le=100, description="Lost workers that a run tolerates, as a share of its last 1000 trials."
        ),
    ] = 0.2


def too_many_lost(config: FaultConfig, lost: Sequence[tuple[WorkerLost, int]], started: int) -> str | None:
    """Why the run must end, in one line, or None while it can go on.

    lost: each lost worker, with the number of trials started by then. started: trials started by now.
    """
    trials, of_the_last = min(started, RECENT_TRIALS), "" if started <= RECENT_TRIALS else "the last "
    recent = [loss for loss, started_then in lost if started - started_then < RECENT_TRIALS]
    allowed = max(config.workers, int(config.share * trials))
    if len(recent) <= allowed:
        return None
    node, times = Counter(loss.node for loss in recent).most_common(1)[0]
    where = f"{times} of them on node {node}, " if node else ""
    return (
        f"{len(recent)} workers were lost in {of_the_last}{trials} trials, more than faults.workers and "
        f"faults.share allow ({allowed}); {where}the last because: {recent[-1].cause}. "
        "Fix the cause, then resume"
    )


def out_of_retries(config: FaultConfig, lost: Iterable[WorkerLost]) -> bool:
    """Whether a trial has used up its restarts. Workers lost before the trial began in them do not count."""
    return sum(loss.begun for loss in lost) > config.retries


class Watchdog:
    """Measures how long each running trial has been silent. clock: monotonic seconds."""

    def __init__(self, limit_s: float, clock: Callable[[], float]) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._since: dict[str, float] = {}

    def reset(self, trial: str) -> None:
        """A trial has reported: its silence is measured from now."""
        self._since[trial] = self._clock()

    def overdue(self, running: Sequence[str]) -> list[str]:
        """The running trials that have been silent for longer than the limit; each is returned only once.

        The silence of a trial seen for the first time is measured from now. Trials that no longer run are
        forgotten.
        """
        now = self._clock()
        self._since = {trial: self._since.get(trial, now) for trial in running}
        late = [trial for trial, since in self._since.items() if now - since > self._limit_s]
        for trial in late:
            self._since[trial] = float("inf")
        return late
