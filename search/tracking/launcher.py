"""Weights & Biases for a run: a sweep per campaign, a run per trial.

Tracking does not slow the search down: the search only starts a process (see search.tracking.process) that
reads the ledger, and in the end gives that process a limited time to finish.
"""

import contextlib
import logging
import netrc
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from agents.language.catalogue import ParamSpec, param_specs
from agents.language.naming import kind_name, param_name
from cluster.environment import inherited, is_proxy
from search.config.schema import RunConfig
from search.ledger.events import RunStarted
from search.storage.run_directory import RunDirectory
from search.tracking.job import Job, Kind
from trainers.method import SLOTS
from trainers.printable import is_a_word
from trainers.scratch import scratch_folder

log = logging.getLogger(__name__)

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


Wanted = Literal["off", "offline", "online"]


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
        self._kind, why = require_key(config.tracking.kind)
        if why:
            log.warning("%s", why)

    def __enter__(self) -> Self:
        return self

    def start(self, started: RunStarted | None) -> None:
        """Start tracking. started: the ledger's first event; None, before it is written, does nothing."""
        kind = self._kind
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

    @property
    def running(self) -> bool:
        """Whether the tracking process is at work."""
        return self._process is not None and self._process.poll() is None

    def search_ended(self) -> None:
        """Tell the tracking process that nothing more will come: it ends when W&B has everything."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def give_up(self) -> None:
        """End the tracking process; what W&B has confirmed is kept."""
        if self._process is not None:
            _kill(self._process)

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


def wanted_kind(kind: Wanted, environ: Mapping[str, str]) -> tuple[Wanted, str]:
    """What the user's environment leaves of `tracking.kind`, and why, where it is another kind.

    WANDB_MODE=disabled and WANDB_DISABLED switch W&B off in whatever program reads them; WANDB_MODE=offline
    (dryrun, as it was called) sends nothing. Neither makes a run send more than its config says.
    """
    mode = environ.get("WANDB_MODE", "").strip().lower()
    disabled = environ.get("WANDB_DISABLED", "").strip().lower()
    if kind != "off" and (mode == "disabled" or disabled not in ("", "0", "false", "no")):
        name = "WANDB_MODE=disabled" if mode == "disabled" else "WANDB_DISABLED"
        return "off", f"nothing is written for W&B: the environment has {name}"
    if kind == "online" and mode in ("offline", "dryrun"):
        return "offline", f"nothing is sent to W&B: the environment has WANDB_MODE={mode}"
    return kind, ""


def require_key(kind: Wanted) -> tuple[Wanted, str]:
    """What `wanted_kind` says of our environment. Raises ValueError if it is online and there is no key."""
    kind, why = wanted_kind(kind, os.environ)
    if kind == "online" and not has_key():
        raise ValueError(
            "tracking.kind is online and no W&B key was found: run `wandb login`, set WANDB_API_KEY, "
            "or use tracking.kind=offline"
        )
    return kind, why


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
