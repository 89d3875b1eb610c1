"""Folders for work in progress. What a killed process leaves behind, the next one removes.

The owner of a folder holds a lock on a file in it, which the system releases when the owner dies, however it
dies. So neither a reused process id nor another PID namespace makes a folder look abandoned.
"""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PREFIX = "weak-to-strong-"
OWNER = ".owner"
NEW_S = 24 * 3600.0  # a folder younger than this may still be getting its owner


@contextmanager
def scratch_folder(near: Path | None = None) -> Iterator[Path]:
    """A new folder, removed when the block ends: in the system's temporary directory, or in `near`.

    Removes folders there whose owners have died.
    """
    place = Path(tempfile.gettempdir()) if near is None else near
    remove_abandoned(place)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    try:
        with _locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def shared_scratch(folder: Path) -> Iterator[None]:
    """Keep another process's folder from removal while the block runs, should its owner die."""
    with suppress(FileNotFoundError), (folder / OWNER).open() as owner:
        fcntl.flock(owner, fcntl.LOCK_SH)
        yield
        return
    yield


def remove_abandoned(place: Path) -> None:
    """Remove the folders in `place` that no living process owns."""
    for folder in place.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's, or another process removes it
            if _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[IO[str]]:
    """Own a folder. The lock's file gets its name once it is locked."""
    with (folder / f"{OWNER}.new").open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_SH)
        (folder / f"{OWNER}.new").rename(folder / OWNER)
        yield owner


def _is_abandoned(folder: Path) -> bool:
    if not (folder / OWNER).is_file():
        return time.time() - folder.stat().st_mtime > NEW_S
    with (folder / OWNER).open() as owner:
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
