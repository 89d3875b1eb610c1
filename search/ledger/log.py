"""The file of a run's events: appended one a line, read back on resume."""

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from search.ledger.events import AnyEvent

log = logging.getLogger(__name__)

_EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


def read_ledger(path: Path) -> list[AnyEvent]:
    """All events of a ledger. A last line cut short by a crash is left out, as if it had never happened.

    Raises ValueError, naming the line, where an earlier line cannot be read.
    """
    events: list[AnyEvent] = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            log.warning("%s: line %d was cut short by a crash and is left out", path, number)
            break
        try:
            events.append(_EVENT.validate_json(line))
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise ValueError(
                f"{path}: line {number} cannot be read ({reason}); restore it from a copy"
            ) from None
    return events


class Ledger:
    """Appends events to a file, each whole or not at all, and hands each to its listeners once written."""

    def __init__(self, path: Path, *listeners: Callable[[AnyEvent], None]) -> None:
        """Open `path` for appending. A last line cut short by a crash is removed first."""
        self._listeners = list(listeners)
        self._file = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
        content = path.read_bytes()
        whole = len(content) if not content or content.endswith(b"\n") else content.rfind(b"\n") + 1
        os.ftruncate(self._file, whole)
        os.lseek(self._file, 0, os.SEEK_END)

    def listen(self, listener: Callable[[AnyEvent], None]) -> None:
        """Hand further events to this listener too, after the listeners that are there."""
        self._listeners.append(listener)

    def append(self, event: AnyEvent) -> None:
        """Write one event and flush it to the disk's cache; OSError where the disk is full."""
        line = event.model_dump_json().encode() + b"\n"
        start = os.lseek(self._file, 0, os.SEEK_CUR)
        if os.write(self._file, line) != len(line):
            os.ftruncate(self._file, start)
            os.lseek(self._file, start, os.SEEK_SET)
            raise OSError(
                errno.ENOSPC, f"the ledger could not be written: is the disk full? {len(line)} bytes were due"
            )
        for listener in self._listeners:
            listener(event)

    def close(self) -> None:
        """Flush to the disk and close."""
        os.fsync(self._file)
        os.close(self._file)
