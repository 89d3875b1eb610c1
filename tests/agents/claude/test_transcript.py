from pathlib import Path

import pytest

from agents.claude.transcript import (
    Concluded,
    Failed,
    Noted,
    Received,
    Sent,
    Transcript,
    blotted,
    read_transcript,
    usage_by_lane,
)
from agents.findings.usage import Usage


def received(usd: float) -> Received:
    return Received(stop="end_turn", content=[], usage=Usage(requests=1, usd=usd))


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rounds" / "001" / "transcript-1.jsonl"
    entries = [
        Sent(content=[{"type": "text", "text": "a\nü"}]),
        received(0.25),
        Failed(why="529", usage=Usage(usd=0.5)),
        Noted(text="n"),
        Concluded(proposal=None, refused=("x",), why="y"),
    ]
    transcript = Transcript(path, "")
    for entry in entries:
        transcript.write(entry)
    assert read_transcript(path) == entries
    assert usage_by_lane(tmp_path) == {(1, "1"): Usage(requests=1, usd=0.75)}


def test_an_exchange_that_a_crash_cut_short_still_counts(tmp_path: Path) -> None:
    path = tmp_path / "001" / "transcript-1.jsonl"
    Transcript(path, "").write(received(0.25))
    with path.open("a") as file:
        file.write('{"entry": "recei')
    assert usage_by_lane(tmp_path)[1, "1"].usd == 0.25
    Transcript(path, "").write(received(1.0))
    assert usage_by_lane(tmp_path)[1, "1"].usd == 1.25
    assert len(read_transcript(path)) == 2


def test_a_line_that_is_no_entry_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    for line, remedy in (
        ('{"entry": "noted"}', "restore it"),
        ('{"entry": "other"}', "a newer version wrote it"),
    ):
        path.write_text('{"entry": "noted", "text": "n"}\n' + line + "\n")
        with pytest.raises(ValueError, match=rf"t\.jsonl: line 2 cannot be read .*{remedy}"):
            read_transcript(path)


def test_without_a_file_nothing_is_kept(tmp_path: Path) -> None:
    Transcript(None, "").write(received(0.5))
    assert usage_by_lane(tmp_path) == {}


def test_a_secret_is_blotted_out_as_json_spells_it() -> None:
    assert blotted('plain k"y, json k\\"y', 'k"y') == "plain [key], json [key]"
    assert blotted("nothing", "") == "nothing"
