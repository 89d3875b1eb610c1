"""Notes that lanes leave for each other and for later rounds; thread-safe."""

import threading
from collections.abc import Sequence

from agents.findings.round_proposal import NOTE_LENGTH, Note

MAX_NOTES = 8  # per lane and round: every later round reads them


class Notebook:
    """The notes of earlier rounds and of this round."""

    def __init__(self, earlier: Sequence[Note], round: int) -> None:
        self._earlier = tuple(earlier)
        self._round = round
        self._new: list[Note] = []
        self._lock = threading.Lock()

    @property
    def new(self) -> tuple[Note, ...]:
        """The notes of this round, in order."""
        with self._lock:
            return tuple(self._new)

    @property
    def all(self) -> tuple[Note, ...]:
        """Every note, oldest first."""
        return self._earlier + self.new

    def add(self, lane: str, text: str) -> Note:
        """Keep a note; raises ValueError for an empty text or too many notes."""
        line = " ".join(text.split())[:NOTE_LENGTH]
        if not line:
            raise ValueError("a note needs a text")
        with self._lock:
            if sum(note.lane == lane for note in self._new) >= MAX_NOTES:
                raise ValueError(f"a lane leaves at most {MAX_NOTES} notes a round")
            note = Note(round=self._round, lane=lane, text=line)
            self._new.append(note)
            return note
