"""How a run takes orders out of its directory, each once: also if a process ends in the middle of it."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from search.config.load import changed
from search.ledger.record import Record
from search.ledger.steered import NAMES, Steered
from search.steering.check import steered
from search.steering.order import MOST_BYTES, read_order
from search.steering.sweep import order_of, read_state
from search.storage.local_files import ORDER, TAKEN_ORDER, head
from search.storage.run_directory import RunDirectory
from trainers.cache import digest

log = logging.getLogger(__name__)

POLL_S = 1.0


class Box:
    """Takes orders out of a run directory, each once: also if a process ends in the middle of it."""

    def __init__(self, folder: Path) -> None:
        self._file, self._taken = folder / ORDER, folder / TAKEN_ORDER
        self._seen: tuple[int, int] | None = None

    def take(self) -> tuple[str, bytes] | None:
        """The order that waits, as an identifier and its text, or None; `done` must follow.

        A file that was written within this call and the last one may not be whole yet: it is left. Raises
        OSError if it cannot be taken.
        """
        for place in (self._taken, self._file):
            if place.is_dir():
                raise IsADirectoryError(f"{place.name} is a folder; remove it")
        if not self._taken.exists() and not self._take_out():
            return None
        text = head(self._taken, MOST_BYTES + 1)
        return digest(text.decode(errors="replace"), self._taken.stat().st_mtime_ns), text

    def _take_out(self) -> bool:
        try:
            stat = self._file.stat()
        except FileNotFoundError:
            self._seen = None
            return False
        before, self._seen = self._seen, (stat.st_size, stat.st_mtime_ns)
        if before != self._seen or not stat.st_size:
            return False
        self._file.rename(self._taken)
        return True

    def done(self) -> None:
        """Forget the order that was taken: it is in the ledger."""
        self._taken.unlink(missing_ok=True)


class Follower(Protocol):
    """What follows orders: the director."""

    def steer(self, order: Steered) -> None:
        """Write an order into the ledger and follow it."""


class Inbox:
    """Brings orders to what follows them, at most once a second."""

    def __init__(self, run: RunDirectory, record: Record, tell: Callable[[str], None]) -> None:
        """tell: is given what was taken and what was refused, a line each."""
        self._run, self._record, self._tell = run, record, tell
        self._box = Box(run.path)
        self._looked = -POLL_S
        self._failed = ""  # why the last order could not be taken
        self._sweep = read_state(run.path)  # what an earlier process left behind asks nothing

    def look(self, follower: Follower) -> None:
        """Hand over the order that waits, if there is one."""
        if time.monotonic() - self._looked < POLL_S:
            return
        self._looked = time.monotonic()
        self._look_at_sweep(follower)
        if (found := self._take()) is None:
            return
        order = self._read(*found)
        if not self._record.course.has_taken(order.order):
            self._hand_over(order, follower)
        self._box.done()

    def _take(self) -> tuple[str, bytes] | None:
        try:
            found = self._box.take()
        except OSError as error:  # somebody else's file, say: no reason for the run to end
            if self._failed != (why := str(error)):
                log.warning("%s cannot be taken: %s", ORDER, why)
            self._failed = why
            return None
        self._failed = ""
        return found

    def _look_at_sweep(self, follower: Follower) -> None:
        found = read_state(self._run.path)
        if found is None or found == self._sweep:
            return
        self._sweep = found
        if (order := order_of(found, self._record.course)) is not None:
            self._hand_over(steered(order, self._run.read_config(), self._record, by="wandb"), follower)

    def _read(self, identity: str, text: bytes) -> Steered:
        try:
            order = read_order(text)
        except ValueError as error:
            return Steered(order=identity, refused=(str(error),))
        return steered(order, self._run.read_config(), self._record, identity=order.id or identity)

    def _hand_over(self, order: Steered, follower: Follower) -> None:
        follower.steer(order)
        if order.settings:
            self._run.write_config(changed(self._run.read_config(), order.settings))
        for sentence in order.sentences():
            self._tell(f"{NAMES[order.by]}: {sentence}")
