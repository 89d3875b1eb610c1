"""The process that tells Weights & Biases of a run: python -m search.tracking.process JOB

It reads the run's ledger as that grows. So the search never waits for it, and no event is lost: whatever W&B
has not confirmed is told again, from the ledger, by the next process. It ends when its standard input does,
which is when the search has ended, however it ended.
"""

import logging
import os
import select
import signal
import sys
import time
from pathlib import Path

from search.tracking.job import Job

log = logging.getLogger(__name__)

POLL_S, LAST_POLL_S = 0.5, 0.1
RETRY_S = (5.0, 10.0, 30.0, 60.0, 300.0)  # pauses after the first, second, ... failure in a row


def _ends_within(seconds: float) -> bool:
    """Whether standard input ends while this waits: the search has ended, however it did."""
    ready, _, _ = select.select([0], [], [], max(0.0, seconds))
    return bool(ready) and not os.read(0, 4096)


def session(job: Job, deadline: float) -> bool:
    """Follow the run until the search has ended and W&B knows all of it; False where that failed.

    deadline: by time.monotonic(), when to give up; at the latest the job's patience after the search's end.
    """
    import wandb  # here, so that the process that forks sessions stays without its threads

    from search.tracking.wandb_sync import Tracker

    tracker, ended = Tracker(job), False
    try:
        while not (ended and tracker.level):
            tracker.catch_up(ended=ended)
            if time.monotonic() > deadline:
                return False
            if ended:
                time.sleep(LAST_POLL_S)
            elif _ends_within(POLL_S):
                ended, deadline = True, min(deadline, time.monotonic() + job.patience_s)
                tracker.catch_up(ended=True)
        tracker.close()
        wandb.teardown()
    except Exception as error:  # wandb raises much; whatever it is, a new session may fare better
        log.warning("W&B was not told: %s: %s", type(error).__name__, " ".join(str(error).split())[:500])
        return False
    return True


def supervise(job: Job) -> bool:
    """Hold sessions until one comes to the end; False if patience runs out first.

    Each is a process of its own: one that fails leaves no run half open and no crashed service behind.
    """
    failures, deadline = 0, float("inf")
    while True:
        started = time.monotonic()
        if (process := os.fork()) == 0:
            os._exit(0 if session(job, deadline) else 1)
        if os.waitpid(process, 0)[1] == 0:
            return True
        failures = 1 if time.monotonic() - started > RETRY_S[-1] else failures + 1
        pause = RETRY_S[min(failures, len(RETRY_S)) - 1]
        if deadline < float("inf"):
            time.sleep(POLL_S)
        elif _ends_within(pause):
            deadline = time.monotonic() + job.patience_s
        if time.monotonic() > deadline:
            return False


def main() -> int:
    """0 if W&B knows all of the run, 1 if something is still to be told."""
    for told_to_end in (signal.SIGINT, signal.SIGTERM):  # the search is told as well, and saves what it has
        signal.signal(told_to_end, signal.SIG_IGN)
    os.nice(19)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    return 0 if supervise(Job.model_validate_json(Path(sys.argv[1]).read_bytes())) else 1


if __name__ == "__main__":
    sys.exit(main())
