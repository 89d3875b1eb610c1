"""How many lost workers a run tolerates, and how long it waits for what. Pure."""

import errno
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from search.ledger.events import WorkerLost
from trainers.component import Frozen

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
RECENT_TRIALS = 1000  # losses before the last so many trials no longer count


Phase = Literal["starting", "training"]  # of a trial that a worker has


class FaultConfig(Frozen):
    """How many lost workers a run tolerates, and how long it waits.

    A lost worker died, or was killed after too long a silence. The run ends when it has lost more than
    `workers` and more than `share` of its trials, so that a bad node cannot use up the campaign. Only the
    last 1000 trials count, and a resumed run counts from zero.
    """

    step_limit_s: Annotated[
        float,
        Field(
            gt=0,
            le=1e7,
            description="Longest time from one rung to the next, and of a baseline's training, in seconds.",
        ),
    ] = 6 * 3600
    start_limit_s: Annotated[
        float,
        Field(
            gt=0,
            le=1e7,
            description="Longest time for a worker to be ready for a trial, in seconds: from the CPUs and "
            "GPUs it got to the trial's first step.",
        ),
    ] = 1800
    cluster_limit_s: Annotated[
        float,
        Field(
            gt=0,
            le=1e7,
            description="Longest wait for CPUs, GPUs or nodes while nothing runs, in seconds. Then the run "
            "ends; `resume` goes on.",
        ),
    ] = 1800
    proposer_limit_s: Annotated[
        float,
        Field(
            gt=0,
            le=1e7,
            description="Longest wait for a proposal with all its retries, in seconds; then the playbook "
            "proposes for the rest of the run.",
        ),
    ] = 6 * 3600
    grader_limit_s: Annotated[
        float,
        Field(
            gt=0, le=1e7, description="Longest wait for the grader's answer, in seconds; then it restarts."
        ),
    ] = 120
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
    """Measures how long each trial in a worker's hands has been silent, from its hand-out on.

    clock: monotonic seconds.
    """

    def __init__(self, config: FaultConfig, clock: Callable[[], float]) -> None:
        self._limits: dict[Phase, float] = {
            "starting": config.start_limit_s,
            "training": config.step_limit_s,
        }
        self._clock = clock
        self._since: dict[str, tuple[Phase, float]] = {}

    def reset(self, trial: str) -> None:
        """A trial has reported: its silence is measured from now."""
        self._since[trial] = "training", self._clock()

    def overdue(self, trials: Mapping[str, Phase]) -> dict[str, str]:
        """Why a worker is to be killed, by trial: those that have been silent for longer than their limit.

        The silence of a trial is measured from the call in which its phase is new. A trial is returned again
        if it is still there after another limit. Trials that are no longer named are forgotten.
        """
        now = self._clock()
        seen = self._since
        self._since = {
            trial: seen[trial] if trial in seen and seen[trial][0] == phase else (phase, now)
            for trial, phase in trials.items()
        }
        late = {
            trial: phase for trial, (phase, since) in self._since.items() if now - since > self._limits[phase]
        }
        self._since |= {trial: (phase, now) for trial, phase in late.items()}
        return {trial: _SILENT[phase].format(self._limits[phase]) for trial, phase in late.items()}


_SILENT: Mapping[Phase, str] = {
    "starting": "it was not ready within faults.start_limit_s ({:g} s)",
    "training": "it reported nothing for faults.step_limit_s ({:g} s)",
}
