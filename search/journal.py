"""Optuna's journal in a file that one process writes, and what to do with what a crash left in it."""

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend

Log = dict[str, Any]


class OneWriterFile(BaseJournalBackend):
    """The format of Optuna's JournalFileBackend, for a file that has one writer, who holds it all the time.

    Optuna's own takes a lock, opens the file and waits for the disk at each of the eight lines of a trial:
    milliseconds each, tens of them on a shared file system. Here a line goes to the system's cache, as the
    ledger's do: a killed process loses nothing. What a machine loses when it stops, the ledger makes good.
    """

    def __init__(self, path: Path) -> None:
        """A last line that was cut short is removed: Optuna would write its next line on to it."""
        self._file = path.open("a+b", buffering=0)
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        self._file.truncate(whole)
        self._unread = content[:whole].splitlines()
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
        data = b"".join(line + b"\n" for line in lines)
        start = os.fstat(self._file.fileno()).st_size
        if self._file.write(data) != len(data):
            self._file.truncate(start)
            raise OSError(28, "Optuna's journal could not be written: is the disk full?")
        self._unread += lines


def open_journal(path: Path) -> BaseStorage:
    """Optuna's storage in a file that only this process writes: the run directory's lock keeps others out."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return JournalStorage(OneWriterFile(path))
