"""The directory of a run: its files, and the lock that lets a single process write there."""

import fcntl
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from cluster.commit import running_code
from search.config.load import changed, dump_config, load_config
from search.config.schema import RunConfig
from search.ledger.events import AnyEvent, Resumed, RunStarted, Sources
from search.ledger.log import Ledger, read_ledger
from search.ledger.record import Record
from search.storage import baseline_times
from trainers.files import DRAFT, replace_file

LOCK, LOOK_S = ".lock", 0.1
CONFIG = "config.yaml"
OURS = {CONFIG, baseline_times.FILE, LOCK}  # of a run before its first event


class RunDirectory:
    """The files of a run; see "What a run leaves behind" in the README."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / CONFIG
        self.ledger = path / "ledger.jsonl"
        self.result = path / "result.json"
        self.report = path / "report.html"
        self.checkpoints = path / "checkpoints"
        self.models = path / "models"
        self._is_locked = False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the directory; raises ValueError if another process holds it, or if it holds no run.

        A block inside another one of the same object changes nothing.
        """
        if self._is_locked:
            yield
            return
        if not self.path.is_dir():
            raise self._no_run()
        with (self.path / LOCK).open("w") as lock:
            if not _taken(lock):
                raise ValueError(f"{self.path}: another process is at work on this run; stop it first")
            self._is_locked = True
            try:
                yield
            finally:
                self._is_locked = False

    def at_work(self) -> bool | None:
        """Whether a process holds the lock, as far as this machine can see; None where nothing tells."""
        try:
            with (self.path / LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return None
        return False

    def load(self) -> tuple[RunConfig, Record]:
        """The config as run, and the record so far; raises ValueError if the directory holds no run."""
        config, events = self.read()
        return config, Record.of(events)

    def read(self) -> tuple[RunConfig, list[AnyEvent]]:
        """The config as run, and the events so far; raises ValueError if the directory holds no run."""
        return self.read_config(), read_ledger(self.ledger) if self.ledger.is_file() else []

    def read_config(self) -> RunConfig:
        """The config as run; raises ValueError if the directory holds no run, or one of a newer version."""
        if not self.config.is_file():
            raise self._no_run()
        try:
            return load_config(self.config)
        except ValueError as error:
            raise ValueError(
                f"{error}; it was edited or a newer version wrote it: put it back, or use that version"
            ) from None

    def write_config(self, config: RunConfig) -> None:
        """Replace config.yaml: a person has changed a setting, and the ledger says so already."""
        replace_file(self.config, dump_config(config))

    def settled(self, config: RunConfig, record: Record) -> RunConfig:
        """The config that the run goes by. config: that of config.yaml.

        If a process ended between the ledger and config.yaml, the file is brought up to date. Raises
        ValueError if it was edited.
        """
        sha256 = record.config_sha256
        if sha256 is None or config.has_sha256(sha256):
            return config
        settled = changed(config, record.course.settings)
        if not settled.has_sha256(sha256):
            raise ValueError(
                f"{self.config}: was edited after the run began; put it back, change settings with "
                "`resume --set`, or start a new run"
            )
        self.write_config(settled)
        return settled

    def read_result(self) -> dict[str, Any] | None:
        """The content of result.json; None if it is missing or damaged."""
        try:
            content = json.loads(self.result.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def keep_result(self, number: int) -> None:
        """Keep the outcome under a name with this number: the run is to have another."""
        if self.result.is_file():
            self.result.replace(self.path / f"result-{number}.json")

    def began_with(self, config: RunConfig) -> bool:
        """Whether the run began with this config, whatever has been changed since."""
        started = Record.of(read_ledger(self.ledger)).started
        return started is not None and config.has_sha256(started.config_sha256)

    def _no_run(self) -> ValueError:
        return ValueError(
            f"{self.path}: holds no run; start one with `python -m search run CONFIG --out DIR`"
        )

    @contextmanager
    def open_ledger(
        self, record: Record, config: RunConfig, started_at: float, sources: Sources | None = None
    ) -> Iterator[Ledger]:
        """Open the ledger for appending, and record the start of a new run or a resumption."""
        ledger, code = Ledger(self.ledger, record.apply), running_code()
        event: AnyEvent = Resumed(code=code)
        if record.started is None:
            event = RunStarted(
                at=started_at,
                run=self.path.resolve().name,
                config_sha256=config.sha256,
                commit=code["commit"],
                sources=sources,
                code=code,
            )
        ledger.append(event)
        try:
            yield ledger
        finally:
            ledger.close()


def _taken(lock: IO[str]) -> bool:
    """Whether the lock is ours now; somebody who only looks whether it is free holds it for a moment."""
    for wait_s in (LOOK_S, 0.0):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(wait_s)
        else:
            return True
    return False


def new_run(path: Path, config: RunConfig) -> RunDirectory:
    """As `claimed_run`, without keeping the lock."""
    with claimed_run(path, config) as run:
        return run


@contextmanager
def claimed_run(path: Path, config: RunConfig) -> Iterator[RunDirectory]:
    """Create the directory of a new run, or open that of an interrupted run of the same config, and lock it.

    Where the block refuses the run (ValueError) before its first event, what was made here is removed:
    trained baselines stay in the cache. Raises ValueError if `path` holds a run of another config, or other
    files, or if another process holds it.
    """
    run, ours = RunDirectory(path), [path / name for name in sorted(OURS)]
    absent = [one for one in (*ours, path, *path.parents) if not one.exists()]
    if not run.ledger.is_file():
        _make(run)
    with run.locked():  # another process may hold it and be training its baselines
        if not run.ledger.is_file():
            run.write_config(config)
        else:
            _require_same(run, config)
        try:
            yield run
        except ValueError:
            if not set(_complete_files(path)) - OURS:
                _remove(absent)
            raise


def _remove(made: Sequence[Path]) -> None:
    """Remove files and empty folders, the inner ones first."""
    for path in made:
        with suppress(OSError):  # somebody has put something there
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)


def check_claim(path: Path, config: RunConfig) -> None:
    """Raise ValueError where `claimed_run` would, but for a directory that cannot be made; makes nothing."""
    run = RunDirectory(path)
    if not run.ledger.is_file():
        _require_empty(run)
    else:
        _require_same(run, config)


def _require_same(run: RunDirectory, config: RunConfig) -> None:
    if run.read_config().sha256 != config.sha256 and not run.began_with(config):
        raise ValueError(f"--out {run.path}: holds another run (of another config); choose another directory")


def _require_empty(run: RunDirectory) -> None:
    path = run.path
    if path.exists() and (not path.is_dir() or set(_complete_files(path)) - OURS):
        raise ValueError(f"--out {path}: is not an empty directory; choose another one")


def _make(run: RunDirectory) -> None:
    """Make the directory of a run that has no ledger. Raises ValueError if it holds other files."""
    path = run.path
    _require_empty(run)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"--out {path}: cannot be made ({error.strerror}); choose another directory"
        ) from None


def _complete_files(folder: Path) -> Iterator[str]:
    return (file.name for file in folder.iterdir() if file.suffix != DRAFT)
