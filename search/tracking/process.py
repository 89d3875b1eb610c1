"""The process that uploads a run to Weights & Biases: python -m search.tracking.process JOB

It reads the run's ledger as it grows. So the search never waits for it, and no event is lost: the next
process sends again what W&B has not confirmed. The end of standard input means that the search has ended, for
whatever reason.
"""

import logging
import os
import select
import signal
import sys
import tempfile
import time
from pathlib import Path

from search.tracking.job import Job
from trainers.printable import log_to_stderr
from trainers.scratch import shared_scratch

log = logging.getLogger(__name__)

POLL_S, LAST_POLL_S = 0.5, 0.1
RETRY_S = (5.0, 10.0, 30.0, 60.0, 300.0)  # pauses after the first, second, ... failure in a row


def _ends_within(seconds: float) -> bool:
    """Wait; returns whether standard input ended meanwhile: the search has ended."""
    ready, _, _ = select.select([0], [], [], max(0.0, seconds))
    return bool(ready) and not os.read(0, 4096)


def session(job: Job, deadline: float) -> bool:
    """Follow the run until the search has ended and W&B has all of it. Returns False if that failed.

    deadline: on the clock of time.monotonic(); at the latest job.patience_s after the end of the search.
    """
    import wandb  # here, so that the process that forks sessions has none of its threads

    from search.tracking.wandb_sync import WandbSync

    sync, ended = WandbSync(job), False
    try:
        while not (ended and sync.complete):
            sync.catch_up(ended=ended)
            if time.monotonic() > deadline:
                return False
            if ended:
                time.sleep(LAST_POLL_S)
            elif _ends_within(POLL_S):
                ended, deadline = True, min(deadline, time.monotonic() + job.patience_s)
                sync.catch_up(ended=True)
        sync.close()
        wandb.teardown()
    except Exception as error:  # wandb raises many kinds of exception; a new session may succeed
        log.warning(
            "the upload to W&B failed: %s: %s", type(error).__name__, " ".join(str(error).split())[:500]
        )
        return False
    return True


def supervise(job: Job) -> bool:
    """Start sessions until one completes. Returns False if job.patience_s runs out first.

    Each session is a process of its own, so a failed session leaves no open run and no crashed service
    behind.
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
    """The exit code: 0 if W&B has all of the run, 1 if not."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the search receives them too, and ends this process
        signal.signal(number, signal.SIG_IGN)
    os.nice(19)
    log_to_stderr("%(asctime)s %(levelname)s %(message)s")
    with shared_scratch(Path(tempfile.gettempdir())):  # which wandb still needs if the search is killed
        return 0 if supervise(Job.model_validate_json(Path(sys.argv[1]).read_bytes())) else 1


if __name__ == "__main__":
    sys.exit(main())
