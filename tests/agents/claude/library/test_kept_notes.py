import threading
from pathlib import Path

import pytest

from agents.claude.library.kept_notes import MOST, KeptNotes
from agents.findings.round_proposal import Note


def note(text: str, round: int = 1) -> Note:
    return Note(round=round, lane="1", text=text)


def test_a_note_is_read_by_the_next_campaign_and_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "shared" / "notes.jsonl"
    first = KeptNotes(path, "first")
    assert first.of_others == ()
    first.keep([note("soft labels help"), note("so it is", 2)])
    first.keep([note("so it is", 2)])  # again, as after a crash
    assert first.of_others == ()
    told = [str(kept) for kept in KeptNotes(path, "second").of_others]
    assert told == ["first, round 1, lane 1: soft labels help", "first, round 2, lane 1: so it is"]


def test_the_newest_are_kept(tmp_path: Path) -> None:
    kept = KeptNotes(tmp_path / "notes", "first")
    kept.keep([note(f"note {number}") for number in range(MOST + 50)])
    texts = [one.text for one in KeptNotes(tmp_path / "notes", None).of_others]
    assert texts == [f"note {number}" for number in range(50, MOST + 50)]


def test_a_proposal_outside_a_run_keeps_nothing(tmp_path: Path) -> None:
    KeptNotes(tmp_path / "notes", None).keep([note("x")])
    assert list(tmp_path.iterdir()) == []


def test_campaigns_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    def write(run: int) -> None:
        for number in range(10):
            KeptNotes(tmp_path / "notes", f"run {run}").keep([note(f"{number}")])

    threads = [threading.Thread(target=write, args=(run,)) for run in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(KeptNotes(tmp_path / "notes", None).of_others) == 40


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "notes")
    KeptNotes(tmp_path / "link", "first").keep([note("x")])
    assert (tmp_path / "link").is_symlink()
    assert len(KeptNotes(tmp_path / "notes", None).of_others) == 1


@pytest.mark.parametrize("content", ["a diary\n", '{"run": "x"}\n', '{"run": "x", "round": 0}\n'])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "diary"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"diary: line 1 cannot be read .*restore it from a copy"):
        KeptNotes(path, "first")
    assert path.read_text() == content
    with pytest.raises(ValueError, match=r"agent\.notes .*: cannot be read \(Is a directory\)"):
        KeptNotes(tmp_path, "first")


def test_what_cannot_be_kept_costs_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "notes"
    kept = KeptNotes(path, "first")
    path.write_text("scribble\n")
    kept.keep([note("x")])
    assert path.read_text() == "scribble\n"
    assert kept.of_others == ()
    assert "agent.notes: this round's notes could not be kept" in caplog.text
