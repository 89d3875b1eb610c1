import csv
import gzip
import hashlib
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from trainers.data.files import read_file

TEXTS = [
    "2020-01-01",
    "2020-01-01T10:00:00Z",
    "1000",
    "007",
    "1,000",
    "1e5",
    "-0.50",
    "null",
    "NA",
    "nan",
    "None",
    "true",
    "",
    "  around  ",
    "two\nlines",
    "two\r\nlines",
    'a "quoted", word',
    "tab\there",
    "caf\u00e9 \u2028 \u4f60\u597d",
    "\U0001f469\u200d\U0001f467",
    "nul\0inside",
    "x" * 200_000,
]


def written(path: Path, texts: list[str]) -> Path:
    """A file with these texts and their numbers, in the format of its ending."""
    rows = [{"text": text, "label": str(i % 2)} for i, text in enumerate(texts)]
    kind = path.suffixes[0]
    if kind == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        return path
    if kind in (".csv", ".tsv"):
        with path.with_suffix(".raw").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["text", "label"], delimiter="," if kind == ".csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
        content = path.with_suffix(".raw").read_bytes()
    elif kind == ".json":
        content = json.dumps(rows, indent=1, ensure_ascii=False).encode()
    else:
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize(
    "kind", ["csv", "csv.gz", "tsv", "json", "json.gz", "jsonl", "jsonl.gz", "parquet", "CSV"]
)
def test_a_text_is_a_text_whatever_it_looks_like(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path / f"a.{kind.lower()}", TEXTS)
    if not kind.islower():
        path = path.rename(tmp_path / f"a.{kind}")
    found = read_file(str(path))
    assert list(found.columns["text"]) == TEXTS
    assert list(found.columns["label"]) == [str(i % 2) for i in range(len(TEXTS))]
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert csv.field_size_limit() == 131_072


def test_what_changed_under_an_old_time_is_read_anew(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ["a", "b"])
    before, times = read_file(str(path)), path.stat()
    written(path, ["b", "a"])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = read_file(str(path))
    assert after.columns["text"] == ["b", "a"]
    assert after.sha256 != before.sha256


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\r"])
def test_byte_order_marks_and_line_ends_are_no_part_of_a_value(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"text,label{separator}a,0{separator}{separator}b,1".encode())
    assert read_file(str(path)).columns == {"text": ["a", "b"], "label": ["0", "1"]}


def test_json_lines_may_be_called_json_and_lack_fields(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"text": "a", "label": 0}\r\n\r\n{"text": 12, "more": [{"role": "user"}]}')
    assert read_file(str(path)).columns == {
        "text": ["a", 12],
        "label": [0, None],
        "more": [None, [{"role": "user"}]],
    }


def test_parquet_keeps_the_types_that_it_names(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows: list[dict[str, Any]] = [{"at": datetime(2020, 1, 1), "turns": [{"role": "user", "content": "q"}]}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert read_file(str(path)).columns == {key: [value] for key, value in rows[0].items()}


REFUSED = {
    "latin1.jsonl": (
        '{"text": "fine", "label": 0}\n{"text": "caf\u00e9", "label": 1}\n'.encode("latin1"),
        r"latin1.jsonl, row 2: field text is not UTF-8 \(byte 0xe9 in b'caf\\xe9'\): save it as UTF-8",
    ),
    "latin1.csv": (
        'text,label\n"two\nlines",0\n"caf\u00e9",1\n'.encode("latin1"),
        r"latin1.csv, row 2: field text is not UTF-8 \(byte 0xe9 in b'caf\\xe9'\): save it as UTF-8",
    ),
    "header.csv": ("caf\u00e9,label\nx,0\n".encode("latin1"), "row 1: field .* is not UTF-8"),
    "only_header.csv": ("caf\u00e9,label\n".encode("latin1"), "is not UTF-8: save it as UTF-8"),
    "utf16.csv": ("text,label\na,0\n".encode("utf-16"), "it is UTF-16; save it as UTF-8"),
    "short.csv": (
        b"text,label\na,0\nb\n",
        r"row 2: has 1 values for 2 fields, starting with 'b': put values",
    ),
    "long.tsv": (b"text\tlabel\na\tb\t0\n", "row 1: has 3 values for 2 fields, starting with 'a'"),
    "open.csv": (b'text,label\na,0\n"b,1\n', "row 2: unexpected end of data; put a value that holds quotes"),
    "stray.csv": (b'text,label\n"a" b,0\n', "row 1: ',' expected after '\"'; put a value that holds quotes"),
    "twice.csv": (b"text,text\na,b\n", "field text stands twice in the header: rename one"),
    "twice.jsonl": (
        b'{"text": "a", "label": 0, "label": 1}\n',
        "row 1, .*: field 'label' stands twice in it",
    ),
    "list.jsonl": (b'{"text": "a"}\n"b"\n', "row 2: must be an object, got 'b': write rows as"),
    "column.json": (b'{"data": [\n{"text": "a"}\n]}', "row 1, .*; write one JSON object a line, or one list"),
    "header_alone.csv": (b"text,label\n", "there is nothing in it; check that it is CSV with rows in it"),
    "short.jsonl.gz": (gzip.compress(b'{"text": "a"}\n')[:-9], "pack it again with gzip"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_the_file_the_row_and_the_remedy(tmp_path: Path, name: str) -> None:
    content, message = REFUSED[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_file(str(path))
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a folder: name a file in it"):
        read_file(str(tmp_path))
