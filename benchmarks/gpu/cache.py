"""What compiled layers cost a fresh process, with an empty cache of torch and with a filled one.

Each process trains our loop of `benchmarks.gpu.short`, whose first epoch meets every padded length. A worker
of a search is like the second process, once another worker has trained on the same lengths.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.gpu import short
from benchmarks.gpu.work import Record, Row, compiled_graphs
from search.cli.output import stdout_for_json, write_json
from trainers.training.compilation import CACHE_DIR


def run(tiny: bool, record: Record) -> None:
    """A row a process."""
    with tempfile.TemporaryDirectory() as folder:
        for cache in ("empty", "filled"):
            record({"cache": cache, **fresh_process(Path(folder), tiny)})


def fresh_process(cache: Path, tiny: bool) -> Row:
    """The row of a process that keeps its compiled code in this folder."""
    command = [sys.executable, "-m", "benchmarks.gpu.cache", *(["--tiny"] if tiny else [])]
    done = subprocess.run(
        command, env={**os.environ, CACHE_DIR: str(cache)}, stdout=subprocess.PIPE, text=True, check=True
    )
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def measured(tiny: bool) -> Row:
    """The first and the last epoch of our loop with compiled layers, in this process."""
    given = short.setting("tiny" if tiny else short.SMALL, 512)
    start, first, *_, before, last = short.ours(given, compile="on")
    return {"first_epoch_s": first - start, "last_epoch_s": last - before, "graphs": compiled_graphs()}


if __name__ == "__main__":
    with stdout_for_json():
        write_json(measured("--tiny" in sys.argv))
