"""Which test examples have been opened, by which run and when: a registry that runs share.

Each opening is a file of its own, so that no two processes ever write the same file. It lies in the cache
and, for a run in object storage, beside that run too.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from search.ledger.events import EarlierOpening
from search.storage.bucket import Bucket
from trainers.cache import digest
from trainers.component import Frozen
from trainers.files import replace_file

log = logging.getLogger(__name__)

FOLDER = "test-openings"


class Opening(Frozen):
    """Test examples, by their keys (`trainers.data.digests.example_keys`), that a run opened."""

    run: str
    id: str
    at: float
    examples: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{digest(list(self.examples))[:16]}-{self.id}-{self.at:.6f}.json"


class Registry:
    """The openings in a cache and, if `url` is given, beside the run at that URL."""

    def __init__(self, cache: Path, url: str | None = None) -> None:
        self._folder = cache / FOLDER
        self._bucket = None if url is None else Bucket(_beside(url))

    def add(self, opening: Opening) -> tuple[EarlierOpening, ...]:
        """Record an opening; returns the others of any of its examples, oldest first.

        It is written before the others are read, so that of two openings at once each sees the other. Raises
        OSError if it cannot be written everywhere.
        """
        content = opening.model_dump_json()
        if self._bucket is not None:
            self._bucket.write(opening.name, content.encode())
        self._folder.mkdir(parents=True, exist_ok=True)
        replace_file(self._folder / opening.name, content)
        return self._others(opening)

    def adopt(self, cache: Path, run: str) -> None:
        """Enter the openings by a run that another cache knows of. run: its id. Those known here stay."""
        if not (cache / FOLDER).is_dir():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        for file in sorted((cache / FOLDER).glob(f"*-{run}-*.json")):
            if not (self._folder / file.name).exists():
                replace_file(self._folder / file.name, file.read_bytes())

    def _others(self, mine: Opening) -> tuple[EarlierOpening, ...]:
        wanted, found = set(mine.examples), {}
        for name, content in self._contents():
            try:
                opening = Opening.model_validate_json(content)
            except ValidationError as error:
                reason = error.errors()[0]["msg"]
                log.warning("%s cannot be read (%s): an opening may be missing", name, reason)
                continue
            shared = len(wanted.intersection(opening.examples))
            if shared and opening != mine:
                found[opening.name] = EarlierOpening(
                    run=opening.run, id=opening.id, at=opening.at, shared=shared
                )
        return tuple(sorted(found.values(), key=lambda opening: opening.at))

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        if self._folder.is_dir():
            for file in sorted(self._folder.glob("*.json")):
                yield str(file), file.read_bytes()
        if self._bucket is not None:
            for name in self._bucket.names():
                yield name, self._bucket.read(name)


def _beside(url: str) -> str:
    """The URL of the registry beside the run at a URL, with the same options."""
    plain, mark, options = url.partition("?")
    return f"{plain.rstrip('/').rpartition('/')[0]}/{FOLDER}{mark}{options}"
