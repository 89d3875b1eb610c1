"""The file of a run's events: appended one a line, read back on resume."""

import os
from collections.abc import Callable
from pathlib import Path

from pydantic import TypeAdapter

from search.ledger.events import AnyEvent
from trainers.files import append_lines, open_lines, read_lines

_EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


def read_ledger(path: Path) -> list[AnyEvent]:
    """All events of a ledger. A last line cut short by a crash is left out, as if it had never happened.

    Raises ValueError, naming the line, where an earlier line cannot be read.
    """
    return read_lines(path, _EVENT.validate_json)


class Ledger:
    """Appends events to a file, each whole or not at all, and hands each to its listeners once written."""

    def __init__(self, path: Path, *listeners: Callable[[AnyEvent], None]) -> None:
        """Open `path` for appending. A last line cut short by a crash is removed first."""
        self._listeners = list(listeners)
        self._file = open_lines(path)

    def listen(self, listener: Callable[[AnyEvent], None]) -> None:
        """Hand further events to this listener too, after the listeners that are there."""
        self._listeners.append(listener)

    def append(self, event: AnyEvent) -> None:
        """Write one event and flush it to the disk's cache; OSError where the disk is full."""
        append_lines(self._file, event.model_dump_json().encode() + b"\n")
        for listener in self._listeners:
            listener(event)

    def close(self) -> None:
        """Flush to the disk and close."""
        os.fsync(self._file.fileno())
        self._file.close()
