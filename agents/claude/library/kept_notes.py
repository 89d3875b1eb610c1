"""Notes that outlive their campaign, in a file that campaigns share; the newest are kept.

A line of JSON a note. Each campaign adds its own after a round, under a lock, and replaces the file whole.
"""

import fcntl
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import Field

from agents.findings.round_proposal import NOTE_LENGTH, Note
from agents.language.proposal import Sentence
from trainers.component import Frozen
from trainers.files import read_lines, replace_file

log = logging.getLogger(__name__)

MOST = 200  # notes in a file, the newest: about 120,000 characters at most


class KeptNote(Frozen):
    """A note with the campaign that it comes from."""

    run: Annotated[Sentence, Field(max_length=200)]
    round: Annotated[int, Field(ge=1)]
    lane: Annotated[Sentence, Field(max_length=40)]
    text: Annotated[Sentence, Field(min_length=1, max_length=NOTE_LENGTH)]

    def __str__(self) -> str:
        return f"{self.run}, round {self.round}, lane {self.lane}: {self.text}"


class KeptNotes:
    """The notes of a file. run: the name of this campaign, None for one that only reads."""

    def __init__(self, path: Path, run: str | None) -> None:
        """Raises ValueError, on one line, if the file is there and holds anything but notes."""
        self._path = path.expanduser()
        self._run = run
        self._read()

    @property
    def of_others(self) -> tuple[KeptNote, ...]:
        """The notes of other campaigns, oldest first; none, with a warning, if the file was damaged since."""
        try:
            return tuple(note for note in self._read() if note.run != self._run)
        except ValueError as error:
            log.warning("%s", error)
            return ()

    def keep(self, notes: Sequence[Note]) -> None:
        """Add this campaign's notes. One that is there already is not added again, after a crash for example.

        What fails costs a warning and the notes: the ledger of the run has them.
        """
        if self._run is None or not notes:
            return
        mine = [KeptNote(run=self._run, round=n.round, lane=n.lane, text=n.text) for n in notes]
        try:
            with self._locked():
                known = self._read()
                known += [note for note in mine if note not in known]
                lines = [f"{note.model_dump_json()}\n" for note in known[-MOST:]]
                replace_file(self._path.resolve(), "".join(lines))
        except (OSError, ValueError) as error:
            log.warning("agent.notes: this round's notes could not be kept: %s", error)

    def _read(self) -> list[KeptNote]:
        try:
            return read_lines(self._path, KeptNote.model_validate_json)[-MOST:]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ValueError(f"agent.notes {self._path}: cannot be read ({error.strerror})") from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_name(f".{self._path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
