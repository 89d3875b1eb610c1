"""Weights & Biases for a run: a sweep per campaign, a run per trial. Also python -m search.tracking DIR

Tracking does not slow the search down: the search only starts a process (see search.tracking.process) that
reads the ledger, and in the end gives that process a limited time to finish.
"""

import argparse
import contextlib
import logging
import netrc
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from agents.language.catalogue import ParamSpec, param_specs
from agents.language.naming import kind_name, param_name
from cluster.environment import inherited, is_proxy
from search.config.schema import RunConfig
from search.config.services import TrackingConfig
from search.ledger.events import RunStarted
from search.storage.run_directory import RunDirectory
from search.tracking.job import Job, Kind
from trainers.method import SLOTS
from trainers.printable import is_a_word, one_line
from trainers.scratch import scratch_folder

log = logging.getLogger(__name__)

UPLOAD_PATIENCE_S = 24 * 3600.0
MARGIN_S = 2.0  # for the tracking process to notice by itself that its time has run out
LOG_RANGE = 1000  # a range with high / low at least this is shown on a log scale
# Variables of wandb passed on to it. Others, with run ids, sweeps and modes, are meant for other programs.
PASSED_ON = {
    "NETRC",
    "WANDB_API_KEY",
    "WANDB_BASE_URL",
    "WANDB_CONFIG_DIR",
    "WANDB_CREDENTIALS_FILE",
    "WANDB_HTTP_TIMEOUT",
    "WANDB_IDENTITY_TOKEN_FILE",
    "WANDB_INSECURE_DISABLE_SSL",
}


class Tracking:
    """Tracks a run from `start` to the end of the block, as its config says."""

    def __init__(self, run: RunDirectory, config: RunConfig) -> None:
        """Raises ValueError if tracking is online and there is no key."""
        self._run = run
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        # Wandb leaves its temporary folders behind when a session fails or is killed.
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
        """Start tracking. started: the ledger's first event; None, before it is written, does nothing."""
        kind = self._config.tracking.kind
        if kind == "off" or started is None:
            return
        folder = self._run.path / "wandb"
        try:
            folder.mkdir(exist_ok=True)
            job = folder / "job.json"
            job.write_text(new_job(self._run.path, self._config, started, kind).model_dump_json(indent=1))
            temporary = self._temporary.enter_context(scratch_folder())
            self._process = _start_process(job, folder, temporary)
        except OSError as error:
            log.warning("tracking could not be started, the search goes on without it: %s", error)

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
                "the upload to W&B is incomplete (see %s); complete it with: python -m search.tracking %s",
                self._run.path / "wandb" / "tracker.log",
                self._run.path,
            )


def _start_process(job: Path, folder: Path, temporary: Path) -> subprocess.Popen[bytes]:
    """Start the tracking process, in a session of its own so that Ctrl-C does not reach it."""
    with (folder / "tracker.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "search.tracking.process", str(job.resolve())],
            cwd=Path(__file__).parents[2],
            env=_environment(folder.resolve()) | {"TMPDIR": str(temporary)},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the process group; wandb's service ends when its parent has ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment(folder: Path) -> dict[str, str]:
    """The environment for wandb: no key but its own, and what keeps it to the run directory."""
    proxies = {name for name in os.environ if is_proxy(name)}
    return inherited(os.environ, PASSED_ON | proxies) | {
        "WANDB_CACHE_DIR": str(folder / "cache"),
        "WANDB_DATA_DIR": str(folder / "data"),
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_SILENT": "true",
    }


def has_key() -> bool:
    """Whether wandb will find a key, in the environment or in .netrc, where `wandb login` writes it.

    Raises ValueError, which does not repeat it, where the environment's is no key.
    """
    key = os.environ.get("WANDB_API_KEY", "").strip()
    if key and not is_a_word(key):
        raise ValueError(
            "WANDB_API_KEY: must hold a key and nothing else; put only the key there, in one line"
        )
    if key or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).netloc
    file = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return netrc.netrc(file).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def new_job(path: Path, config: RunConfig, started: RunStarted, kind: Kind) -> Job:
    """The job of the tracking process. Settings that may hold private addresses are left out."""
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

    W&B plots a run in parallel coordinates only if it has a value on every axis, and a method has values for
    its own components only. Those are in each run's config, under the names that Optuna uses.
    """
    parameters: dict[str, Any] = {kind_name(slot): {"values": list(kinds)} for slot, kinds in SLOTS.items()}
    for slot, kinds in SLOTS.items():
        if len(kinds) == 1:
            for kind, component in kinds.items():
                for name, spec in param_specs(component).items():
                    parameters[param_name(slot, kind, name)] = _range(spec)
    return parameters


def _range(spec: ParamSpec) -> dict[str, Any]:
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
    """Upload what W&B does not yet have of a run. Returns whether W&B has everything then.

    Raises ValueError if there is no key, no run, or a process still works on the run.
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
    """The exit code: 0 if W&B has everything, 1 if not, 2 for a mistake in the input."""
    parser = argparse.ArgumentParser(description="Upload a run that was tracked offline or in part to W&B.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    try:
        return 0 if upload(parser.parse_args(arguments).directory) else 1
    except ValueError as error:
        sys.stderr.write(f"error: {one_line(str(error))}\n")
        return 2
