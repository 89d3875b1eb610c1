"""Writes files so that they stay readable after a crash: replaces them whole, or appends whole lines."""

import errno
import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydantic import ValidationError

log = logging.getLogger(__name__)

DRAFT = ".tmp"  # suffix of a file that is not complete yet

UNKNOWN = ("union_tag_invalid", "extra_forbidden", "literal_error")  # pydantic's names for what is not known
EARLIER = "earlier_format"  # our name for what an earlier version wrote and this one reads otherwise
REMEDIES = dict.fromkeys(UNKNOWN, "a newer version wrote it: go on with that one") | {
    EARLIER: "an earlier version wrote it: go on with that one, or start a new run"
}
DAMAGED = "restore it from a copy"

T = TypeVar("T")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a draft for writing; when the block ends, it is flushed to the disk and replaces `path`.

    A reader sees the old content or the new, never a mixture, even if two processes write at once. If the
    block raises, `path` stays as it was.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}{DRAFT}")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        sync(path.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def replace_file(path: Path, content: str | bytes) -> None:
    """Give a file new content, all of it or none; text in UTF-8."""
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def whole_lines(content: bytes) -> bytes:
    """The content without a last line that lacks its newline."""
    return content[: content.rfind(b"\n") + 1]


def read_lines(path: Path, parse: Callable[[bytes], T]) -> list[T]:
    """Parse every line. A last line that a crash cut short is left out with a warning.

    Raises ValueError, naming the line, if pydantic refuses an earlier line.
    """
    content = path.read_bytes()
    whole = whole_lines(content)
    parsed = parse_lines(path, whole, parse)
    if whole != content:
        log.warning("%s: line %d was cut short by a crash and is left out", path, len(parsed) + 1)
    return parsed


def parse_lines(path: Path, lines: bytes, parse: Callable[[bytes], T], *, first: int = 1) -> list[T]:
    """Parse whole lines of the file at `path`; `first` is the number of the first of them.

    Raises ValueError, naming the line, where pydantic refuses it.
    """
    parsed: list[T] = []
    for number, line in enumerate(lines.splitlines(keepends=True), start=first):
        try:
            parsed.append(parse(line))
        except ValidationError as error:
            found = error.errors()[0]
            remedy = REMEDIES.get(found["type"], DAMAGED)
            reason = found["msg"].partition(" does not match any")[0]  # a list of what is known follows
            raise ValueError(f"{path}: line {number} cannot be read ({reason}); {remedy}") from None
    return parsed


def open_lines(path: Path) -> FileIO:
    """Open a file for appending and reading, from its start; a last line cut short by a crash is removed."""
    file = path.open("a+b", buffering=0)
    file.seek(0)
    file.truncate(len(whole_lines(file.readall())))
    file.seek(0)
    return file


def append_lines(file: FileIO, lines: bytes) -> None:
    """Append all lines to the system's cache; raises OSError, and appends none, if the disk is full."""
    start = os.fstat(file.fileno()).st_size
    if file.write(lines) != len(lines):
        file.truncate(start)
        raise OSError(
            errno.ENOSPC, f"{file.name!r} could not be written: is the disk full? {len(lines)} bytes were due"
        )
