import threading

import pytest

from agents.findings.notebook import MAX_NOTES, Notebook
from agents.findings.round_proposal import NOTE_LENGTH, Note

EARLIER = (Note(round=1, lane="1", text="before"),)


def test_notes_of_earlier_rounds_come_first() -> None:
    notebook = Notebook(EARLIER, round=2)
    assert (notebook.all, notebook.new) == (EARLIER, ())
    added = notebook.add("2", "now")
    assert added == Note(round=2, lane="2", text="now")
    assert (notebook.all, notebook.new) == ((*EARLIER, added), (added,))


def test_a_note_is_one_line_of_bounded_length() -> None:
    notebook = Notebook((), round=1)
    assert notebook.add("1", "  two\n\tlines  ").text == "two lines"
    assert notebook.add("1", "x" * (NOTE_LENGTH + 1)).text == "x" * NOTE_LENGTH


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_a_note_without_text_is_refused(text: str) -> None:
    notebook = Notebook((), round=1)
    with pytest.raises(ValueError, match="a note needs a text"):
        notebook.add("1", text)
    assert notebook.new == ()


def test_each_lane_has_its_own_number_of_notes_a_round() -> None:
    notebook = Notebook([Note(round=1, lane="1", text=str(i)) for i in range(MAX_NOTES)], round=2)
    for i in range(MAX_NOTES):
        notebook.add("1", str(i))
    with pytest.raises(ValueError, match=f"at most {MAX_NOTES} notes a round"):
        notebook.add("1", "one too many")
    notebook.add("2", "of another lane")
    assert len(notebook.new) == MAX_NOTES + 1


def test_lanes_that_write_at_once_lose_no_note() -> None:
    notebook = Notebook((), round=1)
    start = threading.Barrier(8)

    def write(lane: str) -> None:
        start.wait()
        for i in range(MAX_NOTES):
            notebook.add(lane, f"{lane}.{i}")

    threads = [threading.Thread(target=write, args=(str(lane),)) for lane in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({note.text for note in notebook.new}) == 8 * MAX_NOTES
    for lane in map(str, range(8)):
        texts = [note.text for note in notebook.new if note.lane == lane]
        assert texts == [f"{lane}.{i}" for i in range(MAX_NOTES)]  # each lane's in its own order
