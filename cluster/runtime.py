"""Starts Ray for a run, on this machine or on the cluster that it was sent to."""

import contextlib
import json
import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping

import ray

log = logging.getLogger(__name__)

SETTINGS = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # paths of a config are meant from where the run was started
    # Else Tune starts a trial again by itself when its spot node was taken away, beside the director.
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",
    "RAY_AIR_NEW_OUTPUT": "0",  # together with verbose=0 the only way to have Tune print nothing
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the ledger is the log
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours saves the run
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # resuming reads the ledger, never Tune's own state
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # the director says in a line what became of a trial
    "TUNE_WARN_THRESHOLD_S": "5",
}
WORKER_SETTINGS = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}

JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # what the Jobs API tells a driver about its own job


@contextlib.contextmanager
def ray_runtime() -> Iterator[None]:
    """Ray for as long as the block runs: the cluster named by RAY_ADDRESS, or a new one on this machine.

    Inside a Ray job RAY_ADDRESS names the job's own cluster. SIGINT and SIGTERM stay with who handled them.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    address = os.environ.get("RAY_ADDRESS")
    if address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # nothing outside this machine can reach it
    with _signals_kept():
        ray.init(
            address=address or "local",
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": worker_settings(os.environ)},
        )
    try:
        yield
    finally:
        ray.shutdown()


def worker_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Our environment variables for workers, less those that the job's own runtime_env sets.

    Ray refuses to start where both set the same one; whoever submitted the job has the last word.
    """
    job = json.loads(environment.get(JOB_CONFIG, "{}"))
    theirs = (job.get("runtime_env") or {}).get("env_vars") or {}
    return {name: value for name, value in WORKER_SETTINGS.items() if name not in theirs}


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Put handlers back after the block: `ray.init` takes SIGTERM, which tells a run to save and stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
