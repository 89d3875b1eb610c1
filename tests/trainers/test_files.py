import logging
import os
import resource
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from trainers.files import append_lines, open_lines, read_lines, replace_file, replacing, whole_lines

NUMBER = TypeAdapter(int).validate_json


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """What a full disk does: the bytes that still fit are written, then none."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_replaced_file_holds_the_new_content_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    replace_file(path, "first\n")
    replace_file(path, "zwölf\n")
    assert path.read_bytes() == "zwölf\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_a_replaced_file_as_they_may_any_new_one(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        replace_file(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_an_error_while_writing_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    replace_file(path, "old")

    def fail_half_way() -> None:
        with replacing(path) as file:
            file.write(b"half of the ne")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    replace_file(path, "old")
    with no_file_larger_than(10), pytest.raises(OSError, match="File too large"):
        replace_file(path, b"x" * 100_000)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_content_is_on_the_disk_before_it_takes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "a", []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        status = os.fstat(descriptor)
        seen.append(("folder" if stat.S_ISDIR(status.st_mode) else status.st_size, path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    replace_file(path, "content")
    assert seen == [(len("content"), False), ("folder", True)]


def test_writers_at_once_leave_the_content_of_one_of_them(tmp_path: Path) -> None:
    path = tmp_path / "a"
    contents = [bytes([65 + i]) * 200_000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: replace_file(path, content), contents))
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "whole"), [(b"", b""), (b"1", b""), (b"1\n", b"1\n"), (b"1\n2", b"1\n"), (b"\n\n3", b"\n\n")]
)
def test_whole_lines_end_with_a_newline(content: bytes, whole: bytes) -> None:
    assert whole_lines(content) == whole


def test_a_last_line_cut_short_is_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "n.jsonl"
    path.write_bytes(b"12\n34\n5")
    with caplog.at_level(logging.WARNING):
        assert read_lines(path, NUMBER) == [12, 34]
    assert "line 3 was cut short by a crash" in caplog.text


def test_a_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "n.jsonl"
    path.write_bytes(b"12\nx\n5\n")
    with pytest.raises(ValueError, match=r"n\.jsonl: line 2 cannot be read .*; restore it from a copy"):
        read_lines(path, NUMBER)


def test_appending_goes_on_behind_the_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "n.jsonl"
    path.write_bytes(b"12\n3")
    with open_lines(path) as file:
        assert file.readall() == b"12\n"
        append_lines(file, b"4\n5\n")
    assert read_lines(path, NUMBER) == [12, 4, 5]


@pytest.mark.parametrize("fitting", [0, 3])
def test_on_a_full_disk_no_line_is_appended(tmp_path: Path, fitting: int) -> None:
    path = tmp_path / "n.jsonl"
    with open_lines(path) as file:
        append_lines(file, b"1\n")
        with no_file_larger_than(2 + fitting), pytest.raises(OSError, match=r"disk full|File too large"):
            append_lines(file, b"234567\n")
        append_lines(file, b"8\n")
    assert read_lines(path, NUMBER) == [1, 8]
