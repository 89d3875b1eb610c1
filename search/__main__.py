"""The command line: python -m search run configs/dev.yaml"""

import argparse
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

FAILED, INPUT_MISTAKE, INTERRUPTED = 1, 2, 130
PIPE_WIDTH = 140  # columns where the output is no terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0 success, 1 a failed run, 2 a mistake in the input, 130 interrupted with everything saved.
    """
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    os.environ.setdefault("TQDM_DISABLE", "" if sys.stderr.isatty() else "1")
    try:
        options.command(options, console)
    except ValueError as error:
        return _say(f"error: {error}", INPUT_MISTAKE)
    except (RuntimeError, OSError) as error:
        return _say(f"failed: {error}", FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _say(message: str, code: int) -> int:
    Console(stderr=True).print(message, style="red", highlight=False, markup=False, soft_wrap=True)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m search",
        description="Search for weak-to-strong methods that recover most of the performance gap (PGR).",
        epilog="Start with: python -m search run configs/dev.yaml",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: Callable[..., None], text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(command=function)
        return one

    run = command("run", _run, "search, confirm on the test split, write the outcome")
    _takes_config(run)
    run.add_argument("--out", type=Path, metavar="DIR", help="the run directory (default runs/NAME-TIME)")

    resume = command("resume", _resume, "go on where a run stopped")
    resume.add_argument("directory", type=Path, metavar="DIR")

    baselines = command("baselines", _baselines, "train or show the weak floor and the ceiling")
    _takes_config(baselines)

    propose = command("propose", _propose, "one proposal, checked and printed; trains nothing")
    _takes_config(propose)
    propose.add_argument("--out", type=Path, metavar="DIR", help="propose the next round of this run")

    status = command("status", _status, "where a run stands")
    status.add_argument("directory", type=Path, metavar="DIR")
    status.add_argument("--json", action="store_true", help="as JSON, for scripts")
    return parser


def _takes_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file, such as configs/dev.yaml")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a setting, such as search.trials=100; may be repeated",
    )


# Ray, torch and transformers take seconds to import: a command imports what it needs when it runs.


def _run(options: argparse.Namespace, console: Console) -> None:
    from search.config import load_config
    from search.run_dir import new_run

    config = load_config(options.config, options.set)
    path = options.out or Path("runs") / f"{config.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    run = new_run(path, config)
    console.print(f"run directory: {path}", highlight=False)
    _campaign(run, console)


def _resume(options: argparse.Namespace, console: Console) -> None:
    from search.run_dir import RunDirectory

    _campaign(RunDirectory(options.directory), console)


def _campaign(run: Any, console: Console) -> None:
    from search.campaign import run_campaign

    resume = f"python -m search resume {run.path}"
    try:
        run_campaign(run, console)
    except KeyboardInterrupt:
        console.print(f"stopped; everything is saved. Go on with: {resume}", highlight=False, soft_wrap=True)
        raise
    except OSError as error:
        from search.faults import DISK_FULL

        if error.errno not in DISK_FULL:
            raise
        raise RuntimeError(
            f"{run.path} cannot be written ({os.strerror(error.errno)}); what is there is whole. "
            f"Make room, then go on with: {resume}"
        ) from error


def _baselines(options: argparse.Namespace, console: Console) -> None:
    from search.campaign import baseline_table
    from search.config import load_config

    console.print(baseline_table(load_config(options.config, options.set), console))


def _propose(options: argparse.Namespace, console: Console) -> None:
    from search.briefing import brief
    from search.campaign import new_proposer
    from search.config import load_config
    from search.record import Record
    from search.rendering import proposal_table
    from search.rounds import checked
    from search.run_dir import RunDirectory

    config, record = load_config(options.config, options.set), Record()
    if options.out:
        config, record = RunDirectory(options.out).load()
    proposed = new_proposer(config).propose(brief(config, record))
    proposal, problems = checked(config, record, proposed)
    for problem in problems:
        console.print(f"refused: {problem}", highlight=False, markup=False)
    console.print(proposal_table(proposal))


def _status(options: argparse.Namespace, console: Console) -> None:
    from search.run_dir import RunDirectory
    from search.view import status, status_json

    config, record = RunDirectory(options.directory).load()
    if options.json:
        sys.stdout.write(json.dumps(status_json(config, record)) + "\n")
    else:
        console.print(status(config, record, None))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # before anything is under way, as Ctrl-C
    sys.exit(main())
