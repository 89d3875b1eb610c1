"""The transcript of a lane's conversation, an entry a line; it can be read and replayed."""

import json
import threading
import time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from agents.findings.bill import LaneId
from agents.findings.round_proposal import ModelRefusal
from agents.findings.usage import Usage
from agents.language.proposal import Proposal
from trainers.component import Frozen
from trainers.files import append_lines, open_lines, read_lines

Block = dict[str, Any]


class Entry(Frozen):
    """An entry with its time in seconds since the epoch."""

    at: float = Field(default_factory=time.time)


class Opened(Entry):
    """The start of a lane's conversation: model, effort, direction, instructions."""

    entry: Literal["opened"] = "opened"
    model: str
    effort: str
    direction: str
    system: str


class Asked(Entry):
    """The start of another attempt in the same lane: which model is asked now, and with which framing."""

    entry: Literal["asked"] = "asked"
    model: str
    framed: bool
    fallbacks: tuple[str, ...]


class Sent(Entry):
    """A message to the model."""

    entry: Literal["sent"] = "sent"
    content: list[Block]


class Received(Entry):
    """The model's reply, its stop reason and its usage; which models declined to answer, and why.

    cache_miss: why the API could not reuse what was cached, None if it did not say.
    """

    entry: Literal["received"] = "received"
    model: str = ""
    stop: str
    declined: tuple[ModelRefusal, ...] = ()
    cache_miss: str | None = None
    content: list[Block]
    usage: Usage


class Failed(Entry):
    """A request that failed, and what it may have cost."""

    entry: Literal["failed"] = "failed"
    why: str
    usage: Usage = Usage()


class Noted(Entry):
    """A note of the lane."""

    entry: Literal["noted"] = "noted"
    text: str


class Concluded(Entry):
    """The end: the branches that can run, or None; what was refused; why there is no proposal."""

    entry: Literal["concluded"] = "concluded"
    proposal: Proposal | None
    refused: tuple[str, ...]
    why: str | None


AnyEntry = Annotated[
    Opened | Asked | Sent | Received | Failed | Noted | Concluded,
    Field(discriminator="entry"),
]
_ENTRY: TypeAdapter[AnyEntry] = TypeAdapter(AnyEntry)


def transcript_name(lane: str) -> str:
    """The file of a lane in its round's folder."""
    return f"transcript-{lane}.jsonl"


def read_transcript(path: Path) -> list[AnyEntry]:
    """All entries of a transcript; a last line that a crash cut short is left out.

    Raises ValueError, naming the line, if another line cannot be read.
    """
    return read_lines(path, _ENTRY.validate_json)


def total_usage(entries: list[AnyEntry]) -> Usage:
    """The usage of all requests of a transcript."""
    total = Usage()
    for entry in entries:
        if isinstance(entry, Received | Failed):
            total += entry.usage
    return total


def rounds_folder(path: Path) -> Path:
    """The folder of rounds in a run's directory, or the path itself if it is such a folder."""
    return path / "rounds" if (path / "rounds").is_dir() else path


def usage_by_lane(run_dir: Path) -> dict[LaneId, Usage]:
    """The usage in the transcripts of a run, by round and lane; empty if it has none."""
    paths = sorted(rounds_folder(run_dir).glob("[0-9]*/" + transcript_name("*")))
    return {
        (int(path.parent.name), path.stem.removeprefix("transcript-")): total_usage(read_transcript(path))
        for path in paths
        if path.parent.name.isdecimal()
    }


class Transcript:
    """Appends entries to a lane's file, if there is a path. An earlier, interrupted conversation stays there.

    secret: a text that is blotted out wherever it occurs.
    """

    def __init__(self, path: Path | None, secret: str) -> None:
        self._path = path
        self._secret = secret
        self._lock = threading.Lock()
        if path is not None and path.is_file():
            open_lines(path).close()  # removes a line that a crash cut short

    def write(self, entry: AnyEntry) -> None:
        """Append an entry."""
        if self._path is None:
            return
        line = blotted(entry.model_dump_json(), self._secret)
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab", buffering=0) as file:
                append_lines(file, line.encode() + b"\n")


def blotted(text: str, secret: str) -> str:
    """The text with the secret replaced, also in its JSON spelling."""
    for spelling in {secret, json.dumps(secret)[1:-1]} - {""}:
        text = text.replace(spelling, "[key]")
    return text
