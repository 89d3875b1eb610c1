"""The files of a local run directory that a mirror sends, and what belongs together among them."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from trainers.files import DRAFT, whole_lines

LEDGER = "ledger.jsonl"
APPENDED = ("optuna.log", LEDGER)  # in the order of sending
ORDER = "steer.yaml"  # what a person wants of the run; taken out, not mirrored: no order is taken twice
TAKEN_ORDER = ".steer-taken.yaml"  # an order that is on its way into the ledger
STATES = "checkpoints/"  # of trials that have not ended
POINTERS = ("latest.json",)  # name a state; sent after all states


def whole_sizes(path: Path) -> Mapping[str, int]:
    """Bytes of the append-only files at the same instant, each up to its last whole line.

    Reads the sizes until two readings agree: both files had these sizes at once. So a copy is a state that a
    crash could have left, from which a run can resume.
    """
    sizes, again = _sizes(path), _sizes(path)
    while sizes != again:
        sizes, again = again, _sizes(path)
    return {name: len(whole_lines(head(path / name, size))) for name, size in again.items()}


def _sizes(path: Path) -> dict[str, int]:
    return {name: (path / name).stat().st_size for name in APPENDED if (path / name).is_file()}


def head(file: Path, size: int) -> bytes:
    """The first bytes of a file."""
    with file.open("rb") as opened:
        return opened.read(size)


def pointers(path: Path) -> dict[str, bytes]:
    """The files that point to states."""
    contents = {}
    for pointer in POINTERS:
        for file in (path / STATES).rglob(pointer):
            with suppress(FileNotFoundError):
                contents[file.relative_to(path).as_posix()] = file.read_bytes()
    return contents


def versions(path: Path) -> dict[str, tuple[int, int]]:
    """Size and modification time of every file to mirror: no locks, no orders, no unfinished files."""
    found, left_out = {}, {".lock", ORDER, TAKEN_ORDER}
    for file in path.rglob("*"):
        with suppress(FileNotFoundError):  # removed since it was listed
            if file.is_file() and file.name not in left_out and file.suffix not in {".lock", DRAFT}:
                stat = file.stat()
                found[file.relative_to(path).as_posix()] = (stat.st_size, stat.st_mtime_ns)
    return found
