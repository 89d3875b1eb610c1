"""Attacks a small real run and what it reads, and says of each attack whether it was refused.

    python -m benchmarks.attacks [--cache DIR] [--out JSON]

The run holds still in the middle of a trial. The exit code is 1 if an attack got through. An attack from
another network namespace needs root; elsewhere it is not tried, and the table says so.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.attacks.by_text import BY_TEXT
from benchmarks.attacks.on_a_run import ON_A_RUN, NotTriedError
from benchmarks.attacks.victim import hanging_run
from trainers.printable import printable

REFUSED = "refused"


def attacked(place: Path, cache: Path) -> dict[str, str]:
    """What came of each attack: REFUSED, what got through, or why it was not tried."""
    came: dict[str, str] = {}
    with hanging_run(place, cache) as victim:
        for name, attack in ON_A_RUN.items():
            try:
                came[name] = attack(victim) or REFUSED
            except NotTriedError as reason:
                came[name] = f"not tried: {reason}"
    for number, (name, by_text) in enumerate(BY_TEXT.items()):
        folder = place / str(number)
        folder.mkdir()
        came[name] = by_text(folder) or REFUSED
    return came


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if an attack got through."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, metavar="DIR", help="with the offline task's models in it")
    parser.add_argument("--out", type=Path, metavar="JSON")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="attacks-", ignore_cleanup_errors=True) as folder:
        came = attacked(Path(folder), options.cache or Path(folder) / "cache")
    table = Table("attack", "outcome")
    for name, outcome in came.items():
        table.add_row(name, printable(outcome))
    Console(width=120, markup=False).print(table)
    if options.out:
        options.out.write_text(json.dumps(came, indent=2) + "\n")
    return 0 if all(outcome == REFUSED or outcome.startswith("not tried") for outcome in came.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
