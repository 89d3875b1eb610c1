"""The directory of a run: its files, and the lock that lets a single process write there."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.commit import commit
from search.config.load import dump_config, load_config
from search.config.schema import RunConfig
from search.ledger.events import AnyEvent, Resumed, RunStarted
from search.ledger.log import Ledger, read_ledger
from search.ledger.record import Record
from search.storage import baseline_times


class RunDirectory:
    """The files of a run; see "What a run leaves behind" in the README."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.ledger = path / "ledger.jsonl"
        self.result = path / "result.json"
        self.report = path / "report.html"
        self.checkpoints = path / "checkpoints"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the directory; raises ValueError if another process holds it, or if it holds no run."""
        if not self.path.is_dir():
            raise self._no_run()
        with (self.path / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(
                    f"{self.path}: another process is at work on this run; stop it first"
                ) from None
            yield

    def load(self) -> tuple[RunConfig, Record]:
        """The config as run, and the record so far; raises ValueError if the directory holds no run."""
        config, events = self.read()
        return config, Record.of(events)

    def read(self) -> tuple[RunConfig, list[AnyEvent]]:
        """The config as run, and the events so far; raises ValueError if the directory holds no run."""
        return self.read_config(), read_ledger(self.ledger) if self.ledger.is_file() else []

    def read_config(self) -> RunConfig:
        """The config as run; raises ValueError if the directory holds no run."""
        if not self.config.is_file():
            raise self._no_run()
        return load_config(self.config)

    def _no_run(self) -> ValueError:
        return ValueError(
            f"{self.path}: holds no run; start one with `python -m search run CONFIG --out DIR`"
        )

    @contextmanager
    def open_ledger(self, record: Record, config: RunConfig, started_at: float) -> Iterator[Ledger]:
        """Open the ledger for appending, and record the start of a new run or a resumption."""
        ledger = Ledger(self.ledger, record.apply)
        event: AnyEvent = Resumed()
        if record.started is None:
            event = RunStarted(
                at=started_at, run=self.path.resolve().name, config_sha256=config.sha256, commit=commit()
            )
        ledger.append(event)
        try:
            yield ledger
        finally:
            ledger.close()


def new_run(path: Path, config: RunConfig) -> RunDirectory:
    """Create the directory of a new run, or return that of an interrupted run of the same config.

    Raises ValueError if `path` holds a run of another config, or other files.
    """
    run = RunDirectory(path)
    if run.ledger.is_file():
        found, _ = run.read()
        if found.sha256 != config.sha256:
            raise ValueError(f"--out {path}: holds another run (of another config); choose another directory")
        return run
    ours = {run.config.name, baseline_times.FILE, ".lock"}  # left by a run that ended before its first event
    if path.exists() and (not path.is_dir() or {file.name for file in path.iterdir()} - ours):
        raise ValueError(f"--out {path}: is not an empty directory; choose another one")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"--out {path}: cannot be made ({error.strerror}); choose another directory"
        ) from None
    with run.locked():  # another process may hold it and be training its baselines
        run.config.write_text(dump_config(config))
    return run
