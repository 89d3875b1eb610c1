"""Starts Ray for a run, on this machine or on a cluster."""

import contextlib
import json
import logging
import os
import signal
import threading
from collections.abc import Collection, Iterator, Mapping

import ray
from ray._common.utils import get_default_ray_temp_dir

from cluster.access import with_token
from cluster.environment import JOB_CONFIG, blanks, hidden, inherited, lent, without_secrets
from cluster.reach import reaching

log = logging.getLogger(__name__)

SETTINGS = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a config's paths are relative to where the run was started
    # Otherwise Tune restarts a trial by itself when its spot node is taken away, and so does the director.
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",
    "RAY_AIR_NEW_OUTPUT": "0",  # with verbose=0, the only way to keep Tune from printing
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the ledger is the log
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours saves the run
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # resuming reads the ledger, never Tune's own state
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # the director logs the end of a trial in a line
    "TUNE_WARN_THRESHOLD_S": "5",
}
HANDLERS_AGAIN_S = 0.01  # between re-installations of handlers of signals while Ray shuts down
WORKER_SETTINGS = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


@contextlib.contextmanager
def ray_runtime(passed_on: Collection[str] = ()) -> Iterator[None]:
    """Connect to Ray while the block runs: to the cluster at RAY_ADDRESS, or a new one on this machine.

    A new one refuses whoever lacks its token. Workers inherit what `cluster.environment` allows, and the
    variables named in `passed_on`. Inside a Ray job, RAY_ADDRESS names the job's own cluster. Handlers of
    SIGINT and SIGTERM stay in place. Raises ValueError if no cluster answers at RAY_ADDRESS, RuntimeError if
    a new Ray does not start here.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    address = os.environ.get("RAY_ADDRESS") or "local"
    with with_token() if address == "local" else contextlib.nullcontext():
        _connect(address, passed_on)
        try:
            yield
        finally:
            _shut_down()


def _connect(address: str, passed_on: Collection[str]) -> None:
    if JOB_CONFIG in os.environ:
        os.environ[JOB_CONFIG] = without_secrets(os.environ[JOB_CONFIG], passed_on)
    settings = worker_settings(os.environ)
    kept_from_workers, given = set[str](), dict[str, str]()
    if address == "local":  # its processes inherit our environment
        kept_from_workers = os.environ.keys() - inherited(os.environ, passed_on).keys()
        # In a runtime_env they would cost the workers that Ray starts ahead, which have none.
        given, settings = settings, {}
    else:  # its nodes have started; what these hold is blanked
        settings = blanks(os.environ, passed_on) | settings
    with _signals_kept(), hidden(kept_from_workers), lent(given), reaching(address), _starting(address):
        ray.init(
            address=address,
            include_dashboard=False if address == "local" else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": settings} if settings else None,
        )


@contextlib.contextmanager
def _starting(address: str) -> Iterator[None]:
    """Raise RuntimeError, of one line, for the bare Exception of a Ray that is not up within its 30 s."""
    try:
        yield
    except Exception as error:
        if address != "local" or type(error) is not Exception:
            raise
        why = str(error).partition(". ")[0].rstrip(".")
        raise RuntimeError(
            f"Ray did not start on this machine ({why}); if the machine was busy, try again, otherwise look "
            f"into {_logs()}"
        ) from error


def _logs() -> str:
    """Where the Ray that started last here has its logs."""
    folder: str = get_default_ray_temp_dir()  # type: ignore[no-untyped-call]
    return f"{folder}/session_latest/logs"


def worker_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Our environment variables for workers, without those that the job's own runtime_env sets.

    Ray refuses to start if both set the same variable; the job's value wins.
    """
    job = json.loads(environment.get(JOB_CONFIG, "{}"))
    job_settings = (job.get("runtime_env") or {}).get("env_vars") or {}
    return {name: value for name, value in WORKER_SETTINGS.items() if name not in job_settings}


def _shut_down() -> None:
    """Shut Ray down while handlers of signals stay in place.

    `ray.shutdown` takes the process' handler of SIGTERM away in its first tenth of a second and takes a
    second or two, in which a signal would end the process before it has said that everything is saved.
    """
    if threading.current_thread() is not threading.main_thread():
        ray.shutdown()
        return
    ending = threading.Thread(target=ray.shutdown, name="ray-shutdown")
    ending.start()
    interrupt: KeyboardInterrupt | None = None
    while ending.is_alive():
        try:
            with _signals_kept():
                ending.join(HANDLERS_AGAIN_S)
        except KeyboardInterrupt as told:
            interrupt = told
    if interrupt:
        raise interrupt


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Restore signal handlers after the block: `ray.init` replaces ours of SIGTERM, which saves the run."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
