"""The command line of a calibration: campaigns of each kind in, a report and a verdict out."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.cli.output import stdout_for_json, write_json

Report = dict[str, Any]


@stdout_for_json()
def command(about: str | None, calibration: Callable[[int, int], Report], *, quick: int) -> None:
    """Print the report of a calibration, and exit with 1 unless it is calibrated.

    calibration: the report of so many campaigns of each kind, with a seed. quick: how many with --quick.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=400, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help=f"{quick} campaigns of each kind")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    arguments = parser.parse_args()
    report = calibration(quick if arguments.quick else arguments.campaigns, arguments.seed)
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    write_json(report, indent=1)
    print(report["verdict"], file=sys.stderr)
    sys.exit(not report["calibrated"])
