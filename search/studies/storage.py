"""Where Optuna keeps its studies: a file that one process writes, or a database."""

import json
import logging
import os
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import StudyDirection
from sqlalchemy.exc import SQLAlchemyError

from search.config.database import filled, without
from search.ledger.events import RunStarted
from trainers.files import append_lines, open_lines

log = logging.getLogger(__name__)

Log = dict[str, Any]


class OneWriterFile(BaseJournalBackend):
    """The format of Optuna's JournalFileBackend, for a file that has one writer, who holds it all the time.

    Optuna's own takes a lock, opens the file and waits for the disk at each of the eight lines of a trial:
    milliseconds each, tens of them on a shared file system. Here a line goes to the system's cache, as the
    ledger's do: a killed process loses nothing. What a machine loses when it stops, the ledger makes good.
    """

    def __init__(self, path: Path) -> None:
        """A last line that was cut short is removed: Optuna would write its next line on to it."""
        self._file = open_lines(path)
        self._unread = self._file.readall().splitlines()
        self._read = 0

    def read_logs(self, log_number_from: int) -> Generator[Log, None, None]:
        """The logs from this number on; each can be read once, in order, as JournalStorage does."""
        assert log_number_from == self._read, (log_number_from, self._read)
        unread, self._unread = self._unread, []
        self._read += len(unread)
        yield from map(json.loads, unread)

    def append_logs(self, logs: list[Log]) -> None:
        """Write logs; OSError where the disk is full, and then none of them counts."""
        lines = [json.dumps(log, separators=(",", ":")).encode() for log in logs]
        append_lines(self._file, b"".join(line + b"\n" for line in lines))
        self._unread += lines


def open_journal(path: Path, url: str | None = None, started: RunStarted | None = None) -> BaseStorage:
    """Optuna's storage: in a file that only this process writes, or in the database at `url`.

    A file that cannot be read is set aside: replaying the ledger fills a new one.
    The run directory's lock keeps others out of the file. In a database the names of studies begin with the
    run that `started` tells of: others may use it, too. ${OPTUNA_NAME} in the URL stands for a variable of
    the environment. ValueError if it is not set, or the database cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url is not None:
        return _open_database(url, "" if started is None else f"{started.run}-{started.id}/")
    try:
        return JournalStorage(OneWriterFile(path))
    except Exception as error:  # replaying a damaged file may raise anything
        damaged = path.with_name(f"{path.name}.damaged")
        log.warning("%s is damaged (%s): written anew from the ledger; kept as %s", path, error, damaged.name)
        path.replace(damaged)
        return JournalStorage(OneWriterFile(path))


def require_database(url: str | None) -> None:
    """Open the database at `optuna.storage` as a run would, tables included, and close it; None: do nothing.

    Raises ValueError as `open_journal` does: baselines that are trained before would be trained for nothing.
    """
    if url is not None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        _open_database(url, "").engine.dispose()


class _RunStudies(RDBStorage):
    """One run's studies in a database: their names begin with the run, also for who asks without it."""

    def __init__(self, url: str, prefix: str) -> None:
        self._prefix = prefix
        # A campaign can leave a connection unused for hours; the server may have closed it by then.
        super().__init__(url, engine_kwargs={"pool_pre_ping": True})

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        return super().create_new_study(directions, self._full(study_name or ""))

    def get_study_id_from_name(self, study_name: str) -> int:
        return super().get_study_id_from_name(self._full(study_name))

    def _full(self, name: str) -> str:
        return name if name.startswith(self._prefix) else self._prefix + name


def _open_database(url: str, prefix: str) -> "_RunStudies":
    parts, secrets = filled(url, os.environ)
    try:
        return _RunStudies(parts.render_as_string(hide_password=False), prefix)
    # RuntimeError: its tables are those of another version of Optuna.
    except (SQLAlchemyError, ImportError, OSError, RuntimeError) as error:
        reason = without((str(error).splitlines() or [type(error).__name__])[0], secrets)
        raise ValueError(
            f"optuna.storage: {url} cannot be opened: {reason}; mend the URL or start the database, or leave "
            "the setting out to keep studies in the run directory"
        ) from None
