"""Texts that a person gives an agent to read: Markdown and plain text, bounded, and never instructions."""

from collections.abc import Sequence
from pathlib import Path

from agents.claude.prompting import filled, unmarked
from agents.findings.tree.campaign import folder_names
from trainers.component import Frozen

MOST_BYTES = 2_000_000  # of a file
SHOWN_CHARS = 12_000  # of all texts together in the instructions; the tools show the rest


class Paper(Frozen):
    """A text. name: its file in `reading/`."""

    name: str
    text: str


def read_papers(files: Sequence[str]) -> tuple[Paper, ...]:
    """The texts of files; raises ValueError, one line that names the file and the remedy, for any other."""
    names = folder_names([Path(file).name for file in files])
    return tuple(Paper(name=name, text=_text(file)) for name, file in zip(names, files, strict=True))


def _text(file: str) -> str:
    try:
        with Path(file).expanduser().open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"agent.reading {file}: cannot be read ({error.strerror})") from None
    if content.startswith(b"%PDF-"):
        raise ValueError(
            f"agent.reading {file}: is a PDF, which is not read; make a text of it, for example with "
            "`pdftotext -layout FILE.pdf FILE.txt`, and name that"
        )
    if len(content) > MOST_BYTES:
        raise ValueError(f"agent.reading {file}: has more than {MOST_BYTES:,} bytes; name a part of it")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValueError(f"agent.reading {file}: is no text in UTF-8; convert it, for example with iconv")
    if not text.strip():
        raise ValueError(f"agent.reading {file}: is empty; leave it out")
    return text


def papers_section(papers: Sequence[Paper]) -> str:
    """The instructions' section about texts: the beginning of each, marked as data; empty without any."""
    if not papers:
        return ""
    share = SHOWN_CHARS // len(papers)
    return filled("reading.md", texts="\n".join(_shown(paper, share) for paper in papers))


def _shown(paper: Paper, most: int) -> str:
    rest = len(paper.text) - most
    more = f"\n[{rest:,} more characters: read_file reading/{paper.name}]" if rest > 0 else ""
    return f"<record>\nreading/{paper.name}\n\n{unmarked(paper.text[:most])}{more}\n</record>"
