"""The run that something is exported from: its data and models, which must be those that it began with."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.config.load import changed
from search.config.schema import RunConfig
from search.ledger.events import RunStarted
from search.ledger.record import Record
from search.storage.run_directory import RunDirectory
from search.workers.loading import Loaded, load
from search.workers.sources import checked_sources, with_commits


@dataclass(frozen=True, kw_only=True)
class Source:
    """A run to export from. as_run: its config; config: the same with hub ids at the commits of its start."""

    as_run: RunConfig
    config: RunConfig
    record: Record
    outcome: Mapping[str, Any] | None


def read_source(run: RunDirectory) -> Source:
    """A run that has begun; raises ValueError, on one line, where there is none.

    Of several searched tasks the first is exported.
    """
    config, record = run.load()
    if record.started is None:
        raise ValueError(f"{run.path}: the run has not begun, so there is nothing to export; resume it first")
    sha256 = record.config_sha256 or ""
    if not config.has_sha256(sha256):  # a person may have changed settings, which the ledger knows first
        config = changed(config, record.course.settings)
    if not config.has_sha256(sha256):
        raise ValueError(f"{run.config}: was edited after the run began; put it back")
    pinned, _ = with_commits(config, record.started)
    pinned = pinned.on(pinned.tasks[0]) if pinned.tasks else pinned
    return Source(as_run=config, config=pinned, record=record, outcome=run.read_result())


def load_sources(source: Source) -> Loaded:
    """The data and the models; raises ValueError, on one line that names what is gone or has changed.

    Hidden tasks are not read: nothing that is exported learned from them.
    """
    started = source.record.started
    assert started is not None
    loaded = load(source.config)
    commits = started.sources.commits if started.sources else {}
    checked_sources(source.config.model_copy(update={"hidden": ()}), loaded, commits, _own(started))
    return loaded


def _own(started: RunStarted) -> RunStarted:
    """The start of a run as that of one without other tasks."""
    if (sources := started.sources) is None:
        return started
    others = "hidden.", "tasks."
    digests = {name: value for name, value in sources.digests.items() if not name.startswith(others)}
    return started.model_copy(update={"sources": sources.model_copy(update={"digests": digests})})


def check_free(out: Path) -> None:
    """Raise ValueError unless a folder can be written here: nothing is there, or an empty folder."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"--out {out}: is not an empty directory; choose another one")
    check_writable(f"--out {out}", out)


def check_writable(what: str, path: Path) -> None:
    """Raise ValueError unless a file or folder could be made at a path; makes nothing that stays."""
    above = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        with tempfile.TemporaryDirectory(prefix=".export-", dir=above):
            pass
    except OSError as error:
        raise ValueError(f"{what}: cannot be written ({error.strerror}); choose another place") from None
