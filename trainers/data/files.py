"""Local files of examples: read once, with the digest of what was read, and without guessing types."""

import csv
import gzip
import hashlib
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from trainers.data.settings import READERS

Column = list[Any]

UNDECODED = "\udc80", "\udcff"  # what surrogateescape makes of the bytes that are not UTF-8
SHOWN = 8  # names of fields in an error


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """The rows of a file, column by column, and the SHA-256 of the bytes they were read from.

    A value of a CSV or TSV file is always a string; one of JSON or Parquet has the type that the file gives
    it. A row that lacks a field has None there.
    """

    path: str
    sha256: str
    columns: Mapping[str, Column]


def read_file(path: str) -> DataFile:
    """Read a local file of rows. A `.gz` is unpacked; its digest is that of the packed bytes.

    Raises ValueError, on one line that names file, row, field, value and remedy, if the file is not there or
    cannot be read.
    """
    file = Path(path).expanduser()
    end = next((end for end in READERS if path.lower().endswith(end)), None)
    if file.is_dir():
        raise ValueError(f"data file {path!r} is a folder: name a file in it")
    if end is None:
        raise ValueError(f"data file {path!r} must end with one of {', '.join(READERS)}")
    if not file.is_file():
        raise ValueError(f"data file {path!r} is not there (looked from {Path.cwd()}): check the path")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ValueError(f"data file {path!r} cannot be read: {error.strerror}") from None
    reader = READERS[end]
    columns = FORMATS[reader](path, _unpacked(path, content) if end.endswith(".gz") else content)
    if not any(len(column) for column in columns.values()):
        raise _unreadable(
            path, "there is nothing in it", f"check that it is {reader.upper()} with rows in it"
        )
    return DataFile(path=path, sha256=hashlib.sha256(content).hexdigest(), columns=columns)


def shown_names(names: Sequence[str]) -> str:
    """Names of fields for an error: control characters escaped, long ones and long lists cut."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    cut = [name if len(name) <= 40 else f"{name[:40]}…" for name in names[:SHOWN]]
    return ", ".join(name if name.isprintable() and name else repr(name) for name in cut) + more


def _unreadable(path: str, reason: str, remedy: str) -> ValueError:
    return ValueError(f"data file {path!r} cannot be read: {reason}; {remedy}")


def _unpacked(path: str, content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, str(error), "pack it again with gzip, or copy it again") from None


def _text(path: str, content: bytes) -> tuple[str, bool]:
    """The content as text without a byte order mark, and whether all of it is UTF-8."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _unreadable(path, "it is UTF-16", "save it as UTF-8")
    try:
        return content.decode("utf-8-sig"), True
    except UnicodeDecodeError:
        return content.decode("utf-8-sig", errors="surrogateescape"), False


def _undecoded(value: object) -> str | None:
    """The first character that stands for a byte that is not UTF-8."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return next((c for c in text if UNDECODED[0] <= c <= UNDECODED[1]), None)


def _refuse_undecoded(path: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Raise for the first value that is not UTF-8."""
    for number, row in enumerate(rows, start=1):
        for name, value in row.items():
            if found := _undecoded(name) or _undecoded(value):
                seen = repr(str(value).encode(errors="surrogateescape")[:40])
                raise ValueError(
                    f"{path}, row {number}: field {shown_names([name])} is not UTF-8 "
                    f"(byte 0x{ord(found) - 0xDC00:02x} in {seen}): save it as UTF-8"
                )
    raise ValueError(f"{path} is not UTF-8: save it as UTF-8")


def _columns(path: str, rows: Sequence[Mapping[str, Any]], *, whole: bool) -> dict[str, Column]:
    if not whole:
        _refuse_undecoded(path, rows)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _json(path: str, content: bytes) -> dict[str, Column]:
    """Objects, one a line, or in one list."""
    text, whole = _text(path, content)
    if text.lstrip()[:1] == "[":
        values = enumerate(_parsed(path, text, None), start=1)
    else:
        # Not splitlines: a text may hold other line separators, such as U+2028.
        lines = (line for line in text.split("\n") if line.strip())
        values = enumerate((_parsed(path, line, row) for row, line in enumerate(lines, start=1)), start=1)
    return _columns(path, [_object(path, row, value) for row, value in values], whole=whole)


def _parsed(path: str, text: str, row: int | None) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        place = "" if row is None else f"row {row}, {text[:40]!r}: "
        raise _unreadable(
            path, f"{place}{error}", "write one JSON object a line, or one list of them"
        ) from None


def _without_repeats(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) < len(items):
        names = [name for name, _ in items]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"field {twice!r} stands twice in it")
    return found


def _object(path: str, row: int, value: object) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise ValueError(
        f"{path}, row {row}: must be an object, got {repr(value)[:40]}: "
        'write rows as {"field": value, …}, one a line or in a list'
    )


def _csv(path: str, content: bytes) -> dict[str, Column]:
    return _separated(path, content, ",")


def _tsv(path: str, content: bytes) -> dict[str, Column]:
    return _separated(path, content, "\t")


def _separated(path: str, content: bytes, separator: str) -> dict[str, Column]:
    """A header and rows of strings; a value in quotes may hold separators and line breaks."""
    text, whole = _text(path, content)
    rows = _split(path, text, separator)
    names = next(rows, [])
    if repeated := [name for name in dict.fromkeys(names) if name and names.count(name) > 1]:
        raise ValueError(f"{path}: field {shown_names(repeated)} stands twice in the header: rename one")
    found = []
    for number, values in enumerate(rows, start=1):
        if len(values) != len(names):
            raise ValueError(
                f"{path}, row {number}: has {len(values)} values for {len(names)} fields, starting with "
                f"{values[0][:40]!r}: put values that hold a separator or a line break in quotes"
            )
        found.append(dict(zip(names, values, strict=True)))
    return _columns(path, found, whole=whole)


def _split(path: str, text: str, separator: str) -> Iterator[list[str]]:
    """The values of each line that is not empty, the header first."""
    limit = csv.field_size_limit(sys.maxsize)  # 131,072 characters otherwise
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 0  # of the row that comes next; the header is number 0
    try:
        for values in filter(None, rows):
            yield values
            number += 1
    except csv.Error as error:
        remedy = 'put a value that holds quotes in quotes, and write each of its own as ""'
        raise _unreadable(path, f"row {number}: {error}", remedy) from None
    finally:
        csv.field_size_limit(limit)


def _parquet(path: str, content: bytes) -> dict[str, Column]:
    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(content))
        return {name: table.column(name).to_pylist() for name in table.column_names}
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split()).rpartition("'<Buffer>': ")[2][:200]
        raise _unreadable(path, reason, "check that it is PARQUET, and write it again") from None


FORMATS: dict[str, Callable[[str, bytes], dict[str, Column]]] = {
    "csv": _csv,
    "tsv": _tsv,
    "json": _json,
    "parquet": _parquet,
}
