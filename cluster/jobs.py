"""A run as a Ray job: submit it, and follow its log across lost connections."""

import asyncio
import logging
import os
import secrets
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from ray.job_submission import JobStatus, JobSubmissionClient

from cluster.commit import COMMIT

log = logging.getLogger(__name__)

STOP_SETTINGS = {
    "RAY_JOB_STOP_SIGNAL": "SIGINT",
    "RAY_JOB_STOP_WAIT_TIME_S": "120",  # by default Ray sends SIGKILL after 3 s
}
CHATTY = (  # loggers of Ray that report every file they skip and every connection they close
    "ray._private.runtime_env.packaging",
    "ray._private.runtime_env.working_dir",
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
)
QUIET_S = 60.0  # reconnect after this silence: a dead connection may go unnoticed
BETWEEN_S = 0.5  # between the end of a log and the next check whether the job has ended
PATIENCE_S = 600.0  # give up following when the cluster has been out of reach this long
ANSWER_S = 60.0  # for the job server to answer a request
STOPPED = 130


class LostError(ConnectionError):
    """The cluster has been out of reach for too long; the job may still be running."""


def entry_point(config: Path, overrides: Sequence[str], out: str, branches: Sequence[Path] = ()) -> str:
    """The shell command that the job runs on the head node. config, branches: files inside what is sent."""
    own = [part for branch in branches for part in ("--branch", branch.as_posix())]
    settings = [part for override in overrides for part in ("--set", override)]
    return shlex.join(["python", "-m", "search", "run", config.as_posix(), "--out", out, *own, *settings])


def checked_working_dir(directory: Path, config: Path) -> Path:
    """The path of a config or a branch inside the directory to send.

    Raises ValueError if it, or the code, lies outside.
    """
    if not (directory / "search" / "__main__.py").is_file():
        raise ValueError(f"{directory}: does not hold the code; submit from the repository's root")
    try:
        return config.resolve().relative_to(directory.resolve())
    except ValueError:
        raise ValueError(
            f"{config}: lies outside {directory}, the directory to send; copy it there"
        ) from None


def checked_out(out: str) -> str:
    """Check that `out` outlives the job; raises ValueError for a path inside the job's copy of the code."""
    if "://" in out or out.startswith("/"):
        return out
    raise ValueError(
        f"--out {out}: must be an absolute path that every node sees, such as /shared/runs/one, "
        "or a URL, such as s3://bucket/runs/one"
    )


def runtime_env(directory: Path, commit: str) -> dict[str, Any]:
    """The job's environment: code, commit, how Ray stops it. Secrets are not sent; the cluster holds them."""
    return {"working_dir": str(directory), "env_vars": {**STOP_SETTINGS, COMMIT: commit}}


def exit_code(status: JobStatus, driver_exit_code: int | None) -> int:
    """The exit code of an ended job, as if it had run here; 130 for a stopped job."""
    if status == JobStatus.STOPPED:
        return STOPPED
    if status == JobStatus.SUCCEEDED:
        return 0
    return driver_exit_code if driver_exit_code and driver_exit_code > 0 else 1


@dataclass(kw_only=True)
class LogCursor:
    """The part already seen of a log that always starts from its beginning."""

    seen: int = 0
    _passed: int = field(default=0, init=False)

    def restart(self) -> None:
        """Prepare for the log to start from its beginning again."""
        self._passed = 0

    def new(self, chunk: str) -> str:
        """The part of the next chunk that is new."""
        fresh = chunk[max(0, self.seen - self._passed) :]
        self._passed += len(chunk)
        self.seen = max(self.seen, self._passed)
        return fresh


class JobClient(Protocol):
    """The part of Ray's client that is used here."""

    def submit_job(self, *, entrypoint: str, submission_id: str, runtime_env: dict[str, Any]) -> str: ...  # noqa: D102  # Ray's own
    def stop_job(self, job_id: str) -> bool: ...  # noqa: D102  # Ray's own
    def get_job_info(self, job_id: str) -> Any: ...  # noqa: D102  # Ray's own
    def tail_job_logs(self, job_id: str) -> Any: ...  # noqa: D102  # Ray's own


class _Client(JobSubmissionClient):
    """Ray's client, which waits for a server that never answers without end."""

    def _do_request(self, *arguments: Any, **more: Any) -> Any:
        return super()._do_request(*arguments, **({"timeout": ANSWER_S} | more))


def connect(address: str) -> JobClient:
    """A client of the cluster's job server at an address such as http://head:8265.

    Raises ValueError, on one line, if no server answers there.
    """
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.ERROR)
    if "://" not in address:
        raise ValueError(f"--address {address}: must be a URL, such as http://HEAD:8265")
    with _named(address):
        try:
            client: JobClient = _Client(address)
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"--address {address}: no Ray job server answers there ({reason})") from None
    return client


@contextmanager
def _named(address: str) -> Iterator[None]:
    """Make Ray's client use this address, although it prefers the environment's."""
    before = os.environ.get("RAY_API_SERVER_ADDRESS")
    os.environ["RAY_API_SERVER_ADDRESS"] = address
    try:
        yield
    finally:
        del os.environ["RAY_API_SERVER_ADDRESS"]
        if before is not None:
            os.environ["RAY_API_SERVER_ADDRESS"] = before


def submit(client: JobClient, *, name: str, entrypoint: str, env: Mapping[str, Any]) -> str:
    """Start a job; returns its id, which is new each time because Ray demands it.

    Raises ValueError, on one line, if the working directory is too large.
    """
    identity = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    return client.submit_job(entrypoint=entrypoint, submission_id=identity, runtime_env=dict(env))


def check_known(client: JobClient, job: str) -> None:
    """Raise ValueError if the cluster does not have this job."""
    try:
        client.get_job_info(job)
    except RuntimeError as error:
        if "404" in str(error):
            raise ValueError(f"--follow {job}: the cluster has no such job; see `ray job list`") from None
        raise


def follow(client: JobClient, job: str, write: Callable[[str], object]) -> int:
    """Write a job's log from its beginning as it grows, until the job ends; returns the job's exit code.

    After a lost connection the log continues where it stopped. Raises LostError after ten minutes without a
    connection.
    """
    cursor = LogCursor()
    lost_at: float | None = None
    while True:
        try:
            details = client.get_job_info(job)
            if lost_at is not None:
                log.warning("connected again after %.0f s", time.monotonic() - lost_at)
                lost_at = None
            asyncio.run(_tail(client, job, cursor, write))
            if details.status.is_terminal():
                return exit_code(details.status, details.driver_exit_code)
            time.sleep(BETWEEN_S)
        except (OSError, aiohttp.ClientError, RuntimeError) as error:
            now = time.monotonic()
            if lost_at is None:
                lost_at = now
                log.warning("lost the connection (%s); trying again", type(error).__name__)
            if now - lost_at > PATIENCE_S:
                raise LostError(f"the cluster has been out of reach for {PATIENCE_S:.0f} s") from None
            time.sleep(min(15.0, 0.5 + (now - lost_at) / 4))


async def _tail(client: JobClient, job: str, cursor: LogCursor, write: Callable[[str], object]) -> None:
    """Write the log until it ends or stays silent for QUIET_S."""
    cursor.restart()
    async with aclosing(client.tail_job_logs(job)) as chunks:
        while True:
            try:
                async with asyncio.timeout(QUIET_S):  # wait_for loses a Ctrl-C that comes with a line
                    chunk = await anext(chunks)
            except (StopAsyncIteration, TimeoutError):
                return
            if fresh := cursor.new(chunk):
                write(fresh)
