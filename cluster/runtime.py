"""Starts Ray for a run, on this machine or on the cluster that it was sent to."""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator

import ray

log = logging.getLogger(__name__)

SETTINGS = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # paths of a config are meant from where the run was started
    "RAY_AIR_NEW_OUTPUT": "0",  # together with verbose=0 the only way to have Tune print nothing
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the ledger is the log
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours saves the run
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # resuming reads the ledger, never Tune's own state
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # the director says in a line what became of a trial
    "TUNE_WARN_THRESHOLD_S": "5",
}
WORKER_SETTINGS = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


@contextlib.contextmanager
def ray_runtime() -> Iterator[None]:
    """Ray for as long as the block runs: the cluster named by RAY_ADDRESS, or a new one on this machine."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    address = os.environ.get("RAY_ADDRESS")
    if address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # nothing outside this machine can reach it
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address or "local",
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": WORKER_SETTINGS},
        )
    except SystemExit:  # Ray's own answer to SIGTERM
        raise KeyboardInterrupt from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # in place of Ray's
    try:
        yield
    finally:
        ray.shutdown()
