"""The file of a run's events: appended one a line, read back on resume."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from search.ledger.events import AnyEvent
from trainers.files import append_lines, open_lines, parse_lines, read_lines, whole_lines

_EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


def read_ledger(path: Path) -> list[AnyEvent]:
    """All events of a ledger. A last line cut short by a crash is left out, as if it had never happened.

    Raises ValueError, naming the line, where an earlier line cannot be read.
    """
    return read_lines(path, _EVENT.validate_json)


@dataclass(frozen=True, kw_only=True)
class Growth:
    """The events that a ledger has gained since the last look.

    restarted: the file was cut short or replaced. What was read before no longer counts, and `events` are all
    events of the file.
    """

    events: list[AnyEvent]
    restarted: bool


class LedgerFollower:
    """Reads a growing ledger bit by bit. It knows the file again by the last line that it has read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._lines = 0
        self._last = b""

    def grown(self) -> Growth:
        """The events since the last call. A line that is still being written waits for the next call.

        A file that is not there holds no events. Raises ValueError, naming the line, where it cannot be read.
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
        return Growth(events=events, restarted=restarted)

    def _content(self, start: int) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                return file.read()
        except FileNotFoundError:
            return b""


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
