"""Weights & Biases for a run: one sweep a campaign, one run a trial. Also python -m search.tracking DIR

The search is not slowed down by it and does not wait for it: all it does is to start a process (see
search.tracking.process) that reads the ledger, and in the end to give that process a bounded time to finish.
"""

import argparse
import contextlib
import logging
import netrc
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from agents.language.catalogue import ParamSpec, param_specs
from agents.language.naming import kind_name, param_name
from search.config.schema import RunConfig
from search.config.services import TrackingConfig
from search.ledger.events import RunStarted
from search.storage.run_directory import RunDirectory
from search.tracking.job import Job, Kind
from trainers.method import SLOTS

log = logging.getLogger(__name__)

UPLOAD_PATIENCE_S = 24 * 3600.0
MARGIN_S = 2.0  # for the tracking process to notice by itself that its time is up
LOG_RANGE = 1000  # a range over this factor is searched, and shown, on a log scale
# What wandb may take from the environment: run ids, sweeps and modes there are meant for other programs.
KEPT = {
    "WANDB_API_KEY",
    "WANDB_BASE_URL",
    "WANDB_CONFIG_DIR",
    "WANDB_CREDENTIALS_FILE",
    "WANDB_HTTP_TIMEOUT",
    "WANDB_IDENTITY_TOKEN_FILE",
    "WANDB_INSECURE_DISABLE_SSL",
}


class Tracking:
    """Has a run tracked from `start` to the end of the block, as its config says."""

    def __init__(self, run: RunDirectory, config: RunConfig) -> None:
        """ValueError where W&B is to be told online and there is no key."""
        self._run = run
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        # Wandb's own way to clear its temporary folders away is skipped when a session fails or is killed.
        self._temporary = contextlib.ExitStack()
        self.complete = True
        if config.tracking.kind == "online" and not has_key():
            raise ValueError(
                "tracking.kind is online and no W&B key was found: run `wandb login`, set WANDB_API_KEY, "
                "or use tracking.kind=offline"
            )

    def __enter__(self) -> Self:
        return self

    def start(self, started: RunStarted | None) -> None:
        """Begin, once the ledger has its first event."""
        kind = self._config.tracking.kind
        if kind == "off" or started is None:
            return
        folder = self._run.path / "wandb"
        try:
            folder.mkdir(exist_ok=True)
            job = folder / "job.json"
            job.write_text(new_job(self._run.path, self._config, started, kind).model_dump_json(indent=1))
            temporary = tempfile.TemporaryDirectory(prefix="wandb-", ignore_cleanup_errors=True)
            self._process = _started(job, folder, self._temporary.enter_context(temporary))
        except OSError as error:
            log.warning("tracking could not be started, the search goes on without: %s", error)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._temporary:
            if self._process is not None:
                self._end(self._process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        process.stdin.close()
        try:
            self.complete = process.wait(self._config.tracking.patience_s + MARGIN_S) == 0
        except subprocess.TimeoutExpired:
            self.complete = False
        finally:
            _kill(process)
        if not self.complete:
            log.warning(
                "W&B has not been told everything (see %s); tell it with: python -m search.tracking %s",
                self._run.path / "wandb" / "tracker.log",
                self._run.path,
            )


def _started(job: Path, folder: Path, temporary: str) -> subprocess.Popen[bytes]:
    """The tracking process, in a session of its own so that Ctrl-C is not meant for it."""
    with (folder / "tracker.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "search.tracking.process", str(job.resolve())],
            cwd=Path(__file__).parents[2],
            env=_environment(folder.resolve()) | {"TMPDIR": temporary},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End whatever is left of the process group; wandb's service ends when its parent has."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment(folder: Path) -> dict[str, str]:
    """Ours, with all that wandb writes kept in the run directory and nothing reported to its makers."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("WANDB_") or name in KEPT
    }
    return kept | {
        "WANDB_CACHE_DIR": str(folder / "cache"),
        "WANDB_DATA_DIR": str(folder / "data"),
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_SILENT": "true",
    }


def has_key() -> bool:
    """Whether wandb will find a key: in the environment, or in .netrc, where `wandb login` puts it."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).netloc
    file = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return netrc.netrc(file).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def new_job(path: Path, config: RunConfig, started: RunStarted, kind: Kind) -> Job:
    """What the tracking process has to know. Settings that may hold addresses of this place are left out."""
    tracking = config.tracking
    return Job(
        directory=str(path.resolve()),
        kind=kind,
        project=tracking.project,
        entity=tracking.entity,
        sweep=tracking.sweep,
        campaign=started.id,
        name=started.run,
        config=config.model_dump(mode="json", exclude={"cache", "tracking", "optuna"}),
        parameters=sweep_parameters(),
        patience_s=tracking.patience_s,
    )


def sweep_parameters() -> dict[str, Any]:
    """The parameters that every method has: each slot's component, and all of a slot that has only one.

    W&B draws a run in parallel coordinates only if it has a value on every axis, and a method has values for
    its own components only. Those are in each run's config, under the names that Optuna uses.
    """
    parameters: dict[str, Any] = {kind_name(slot): {"values": list(kinds)} for slot, kinds in SLOTS.items()}
    for slot, kinds in SLOTS.items():
        if len(kinds) == 1:
            for kind, component in kinds.items():
                for name, spec in param_specs(component).items():
                    parameters[param_name(slot, kind, name)] = _room(spec)
    return parameters


def _room(spec: ParamSpec) -> dict[str, Any]:
    if spec.members or spec.type == "boolean":
        return {"values": list(spec.members or (False, True))}
    if not spec.ordered or spec.low is None or spec.high is None:
        return {"value": spec.default}
    if spec.type == "integer":
        return {"min": int(spec.low), "max": int(spec.high)}
    scale = {}
    if spec.low > 0 and spec.high / spec.low >= LOG_RANGE:
        scale = {"distribution": "log_uniform_values"}
    return {"min": spec.low, "max": spec.high} | scale


def upload(directory: Path) -> bool:
    """Tell W&B, online, whatever it does not know of a run; whether it knows everything then.

    ValueError where there is no key, or no run, or one that a process is at work on.
    """
    run = RunDirectory(directory)
    with run.locked():
        config, record = run.load()
        online = TrackingConfig.model_validate(
            config.tracking.model_dump() | {"kind": "online", "patience_s": UPLOAD_PATIENCE_S}
        )
        with Tracking(run, config.model_copy(update={"tracking": online})) as tracking:
            tracking.start(record.started)
    return tracking.complete


def main(arguments: Sequence[str] | None = None) -> int:
    """0 once W&B knows everything, 1 if it does not, 2 for a mistake in the input."""
    parser = argparse.ArgumentParser(description="Upload a run, tracked offline or in part, to W&B.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    try:
        return 0 if upload(parser.parse_args(arguments).directory) else 1
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
