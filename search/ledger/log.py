"""The ledger file: one event per line, appended as it happens and read back on resume."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from search.ledger.events import AnyEvent
from trainers.files import append_lines, open_lines, parse_lines, read_lines, whole_lines

_EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


def read_ledger(path: Path) -> list[AnyEvent]:
    """All events of a ledger. A last line that a crash cut short is ignored.

    Raises ValueError, naming the line, if an earlier line cannot be read.
    """
    return read_lines(path, _EVENT.validate_json)


@dataclass(frozen=True, kw_only=True)
class NewEvents:
    """The events added to a ledger since the last read.

    restarted: the file was truncated or replaced, so events read before no longer count, and `events` holds
    all events of the file.
    """

    events: list[AnyEvent]
    restarted: bool


class LedgerFollower:
    """Reads a growing ledger incrementally. The last line read shows whether the file is still the same."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._lines = 0
        self._last = b""

    def read(self) -> NewEvents:
        """The events since the last call. A line that is still being written is left for the next call.

        A missing file holds no events. Raises ValueError, naming the line, if a line cannot be read.
        """
        content = self._content(self._offset - len(self._last))
        restarted = not content.startswith(self._last)
        if restarted:
            self._offset, self._lines, self._last = 0, 0, b""
            content = self._content(0)
        lines = whole_lines(content[len(self._last) :])
        events = parse_lines(self._path, lines, _EVENT.validate_json, first=self._lines + 1)
        if events:
            self._offset += len(lines)
            self._lines += len(events)
            self._last = lines.splitlines(keepends=True)[-1]
        return NewEvents(events=events, restarted=restarted)

    def _content(self, start: int) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                return file.read()
        except FileNotFoundError:
            return b""


class Ledger:
    """Appends events to a file, each completely or not at all, and passes each to listeners once written.

    Any thread may append; listeners are called one event at a time, in the order of the file.
    """

    def __init__(self, path: Path, *listeners: Callable[[AnyEvent], None]) -> None:
        """Open `path` for appending. A last line that a crash cut short is removed first."""
        self._listeners = list(listeners)
        self._file = open_lines(path)
        self._lock = threading.RLock()  # a listener may append

    def listen(self, listener: Callable[[AnyEvent], None]) -> None:
        """Add a listener for further events; it is called after the present listeners."""
        self._listeners.append(listener)

    def append(self, event: AnyEvent, *, durable: bool = False) -> None:
        """Write an event and flush it to the operating system; if `durable`, to the disk.

        Raises OSError if the disk is full, ValueError if the ledger is closed.
        """
        with self._lock:
            append_lines(self._file, event.model_dump_json().encode() + b"\n")
            if durable:
                os.fsync(self._file.fileno())
            for listener in self._listeners:
                listener(event)

    def close(self) -> None:
        """Flush to disk and close."""
        os.fsync(self._file.fileno())
        self._file.close()
