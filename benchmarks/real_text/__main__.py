"""What published methods and a search recover on real text, on a machine with a few cores.

    python -m benchmarks.real_text --data FOLDER --tasks a,b --out FILE.json [--minutes 5]
    python -m benchmarks.real_text --data FOLDER --tasks a --out FILE.json --quick   # to see that it works

FOLDER holds NAME.train.jsonl.gz and NAME.test.jsonl.gz, with text and label, or for --pairs with prompt,
chosen and rejected. Each weak supervisor is a bag of words over 200 rows of its own, the student a probe of
a sentence encoder: sizes, seeds and learning rates are those of configs/sst2.yaml for every task.

For each task: weak floor and ceiling; naive and the published methods (`benchmarks.real_text.methods`); and
the best of a search, by `python -m search run` with as many trials as --minutes allows. All are trained on
the labels of fresh supervisors, which taught nothing that chose, and graded on the test split; p is that of
the gain over naive, paired by seed, one-sided. Prints {"tasks": {NAME: {"weak", "ceiling", "naive", "best",
"methods"}}} as JSON and writes it to --out after each task. A task without a clear gap has no naive or best.

--hindsight also trains the search's methods on the fresh seeds: what could have been found. It says how good
the choice was, and must choose nothing.
"""

import argparse
import json
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.encoder import default_encoder
from benchmarks.real_text.settings import QUICK, STUDENTS, RealTextSettings
from benchmarks.real_text.task import figures_of
from search.cli.output import FAILED, INPUT_MISTAKE, complain, stdout_for_json, write_json
from search.config.load import dump_config, load_config
from search.config.schema import RunConfig

log = logging.getLogger(__name__)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.real_text",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of NAME.train.jsonl.gz")
    parser.add_argument("--tasks", default="", help="names of tasks of single texts, separated by commas")
    parser.add_argument("--pairs", default="", help="names of tasks of preference pairs")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file")
    parser.add_argument(
        "--minutes", type=float, help="of each task's search, 5 by default; 0 searches nothing"
    )
    parser.add_argument("--encoder", help="folder of the strong model; default: all-MiniLM-L6-v2")
    parser.add_argument("--student", choices=list(STUDENTS), help="what is trained of the encoder")
    parser.add_argument("--max-length", type=int, help="tokens kept of a text, 64 by default")
    parser.add_argument("--weak-rows", type=int, help="that each weak supervisor learns from")
    parser.add_argument("--weak-lr", type=float, help="learning rate of weak supervisors")
    parser.add_argument("--seed", type=int, help="of splits and trainings")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="another setting of the searches"
    )
    parser.add_argument("--runs", type=Path, help="keep the searches' run directories in this folder")
    parser.add_argument("--hindsight", action="store_true", help="also the search's methods on fresh seeds")
    parser.add_argument("--quick", action="store_true", help="small splits, a search of seconds")
    return parser


def _with(overrides: Sequence[str], config: RunConfig) -> RunConfig:
    """The config with `key.sub=value` overrides."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(dump_config(config))
        file.flush()
        return load_config(Path(file.name), overrides)


OPTIONS = ("minutes", "student", "max_length", "weak_rows", "weak_lr", "seed")


def _work(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    chosen = {name: value for name in OPTIONS if (value := vars(given)[name]) is not None}
    settings = RealTextSettings(
        encoder=given.encoder or default_encoder(), **({**QUICK} if given.quick else {}) | chosen
    )
    names = {name: False for name in given.tasks.split(",") if name}
    names |= {name: True for name in given.pairs.split(",") if name}
    if not names:
        raise ValueError("--tasks and --pairs name nothing: name a task of --data")
    configs = {
        name: _with(given.set, settings.config(given.data, name, pairs=pairs, cache=folder / "cache"))
        for name, pairs in names.items()
    }
    found: dict[str, Any] = {"schema": 1, "settings": settings.model_dump(), "set": given.set, "tasks": {}}
    began = time.monotonic()
    for done, (name, config) in enumerate(configs.items()):
        left = (
            f", about {(time.monotonic() - began) / done * (len(configs) - done) / 60:.0f} min left"
            if done
            else ""
        )
        log.info("%s, task %d of %d%s", name, done + 1, len(configs), left)
        found["tasks"][name] = figures_of(
            config, folder / name, searched=settings.minutes > 0, hindsight=given.hindsight
        )
        given.out.write_text(json.dumps(found, indent=1) + "\n")
    return found


@stdout_for_json()
def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit 0 on success, 1 on a failed search, 2 on a mistake in the input."""
    given = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = _work(given, given.runs or Path(folder))
    except (OSError, ValueError) as error:
        return complain(str(error), INPUT_MISTAKE)
    except RuntimeError as error:
        return complain(str(error), FAILED)
    write_json(found, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
