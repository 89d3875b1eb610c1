"""How often single trainings were told a score on a search split. Runs count theirs in their ledgers."""

import os
from pathlib import Path

FOLDER = "search-queries"


def count_query(cache: Path, digest: str) -> int:
    """Count one more query; returns how many there have been with this cache. digest: of the split's inputs.

    A line a query, so that processes which ask at the same moment are both counted.
    """
    file = cache / FOLDER / f"{digest}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, b"1\n")
    finally:
        os.close(descriptor)
    return file.read_bytes().count(b"\n")
