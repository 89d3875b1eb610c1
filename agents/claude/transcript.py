"""What was said between a lane and the model, one entry a line; it can be read again and replayed."""

import json
import threading
import time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from agents.findings.usage import Usage
from agents.language.proposal import Proposal
from trainers.component import Frozen
from trainers.files import append_lines, open_lines, read_lines

Block = dict[str, Any]


class Entry(Frozen):
    """Something that was said or done, at a time in seconds since the epoch."""

    at: float = Field(default_factory=time.time)


class Opened(Entry):
    """The beginning of a lane's exchange: who is asked, and with what instructions."""

    entry: Literal["opened"] = "opened"
    model: str
    effort: str
    direction: str
    system: str


class Sent(Entry):
    """What was said to the model."""

    entry: Literal["sent"] = "sent"
    content: list[Block]


class Received(Entry):
    """What the model said, why it stopped, and what that took."""

    entry: Literal["received"] = "received"
    stop: str
    content: list[Block]
    usage: Usage


class Failed(Entry):
    """A request that brought no answer, and what it may have cost all the same."""

    entry: Literal["failed"] = "failed"
    why: str
    usage: Usage = Usage()


class Noted(Entry):
    """A note that the lane left."""

    entry: Literal["noted"] = "noted"
    text: str


class Concluded(Entry):
    """The end: the branches that were kept, or None; what was refused; what kept it from an answer."""

    entry: Literal["concluded"] = "concluded"
    proposal: Proposal | None
    refused: tuple[str, ...]
    why: str | None


AnyEntry = Annotated[
    Opened | Sent | Received | Failed | Noted | Concluded,
    Field(discriminator="entry"),
]
_ENTRY: TypeAdapter[AnyEntry] = TypeAdapter(AnyEntry)


def transcript_name(lane: str) -> str:
    """The file of a lane in its round's folder."""
    return f"transcript-{lane}.jsonl"


def read_transcript(path: Path) -> list[AnyEntry]:
    """All entries of a transcript; a last line that a crash cut short is left out.

    Raises ValueError, naming the line, where another one cannot be read.
    """
    return read_lines(path, _ENTRY.validate_json)


def total_usage(entries: list[AnyEntry]) -> Usage:
    """What all requests of a transcript took."""
    total = Usage()
    for entry in entries:
        if isinstance(entry, Received | Failed):
            total += entry.usage
    return total


def rounds_folder(path: Path) -> Path:
    """The folder of rounds in a run's directory, or the path itself if it is such a folder."""
    return path / "rounds" if (path / "rounds").is_dir() else path


def spent_usd(run_dir: Path) -> float:
    """Dollars that all transcripts of a run add up to: what a budget starts from after a crash."""
    paths = sorted(rounds_folder(run_dir).glob("*/" + transcript_name("*")))
    return sum(total_usage(read_transcript(path)).usd for path in paths)


class Transcript:
    """Appends entries to a lane's file, or keeps them to itself where there is none; for one thread.

    secret: a text that is blotted out wherever it turns up. An earlier, interrupted exchange in the file
    stays and counts in `usage`.
    """

    def __init__(self, path: Path | None, secret: str) -> None:
        self._path = path
        self._secret = secret
        self._lock = threading.Lock()
        self.usage = Usage()
        if path is not None and path.is_file():
            open_lines(path).close()
            self.usage = total_usage(read_transcript(path))

    def write(self, entry: AnyEntry) -> None:
        """Append an entry and count its usage."""
        if isinstance(entry, Received | Failed):
            self.usage += entry.usage
        if self._path is None:
            return
        line = blotted(entry.model_dump_json(), self._secret)
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab", buffering=0) as file:
                append_lines(file, line.encode() + b"\n")


def blotted(text: str, secret: str) -> str:
    """The text with the secret, also as JSON spells it, replaced."""
    for spelled in {secret, json.dumps(secret)[1:-1]} - {""}:
        text = text.replace(spelled, "[key]")
    return text
