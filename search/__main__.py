"""The command line: python -m search run configs/dev.yaml"""

import argparse
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

INPUT_MISTAKE, FAILED, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 a failed run, 2 a mistake in the input, 130 interrupted."""
    options = _parser().parse_args(arguments)
    console = Console()
    errors = Console(stderr=True)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    command: Callable[[argparse.Namespace, Console], None] = options.command
    try:
        command(options, console)
    except ValueError as error:
        errors.print(f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        return INPUT_MISTAKE
    except KeyboardInterrupt:
        return INTERRUPTED
    except RuntimeError as error:
        errors.print(f"failed: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        return FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m search", description="Search for weak-to-strong methods with a high PGR."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = _command(commands, "run", _run, "search, confirm, and write the outcome")
    _takes_config(run)
    run.add_argument("--out", type=Path, metavar="DIR", help="the run directory (default runs/NAME-TIME)")

    resume = _command(commands, "resume", _resume, "go on where a run stopped")
    resume.add_argument("directory", type=Path, metavar="DIR")

    baselines = _command(commands, "baselines", _baselines, "train or show weak floor and ceiling")
    _takes_config(baselines)

    propose = _command(commands, "propose", _propose, "one proposal, checked and printed; no training")
    _takes_config(propose)
    propose.add_argument("--out", type=Path, metavar="DIR", help="a run to propose the next round for")

    status = _command(commands, "status", _status, "where a run stands")
    status.add_argument("directory", type=Path, metavar="DIR")
    return parser


def _command(
    commands: argparse._SubParsersAction, name: str, function: object, text: str
) -> argparse.ArgumentParser:  # type: ignore[type-arg]
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=function)
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
    from search.campaign import run_campaign
    from search.config import load_config
    from search.run_dir import new_run

    config = load_config(options.config, options.set)
    path = options.out or Path("runs") / f"{config.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    run = new_run(path, config)
    console.print(f"run directory: {path}", highlight=False)
    _guarded(run_campaign, run, console)


def _resume(options: argparse.Namespace, console: Console) -> None:
    from search.campaign import run_campaign
    from search.run_dir import RunDirectory

    _guarded(run_campaign, RunDirectory(options.directory), console)


def _guarded(run_campaign: Callable[..., object], run: object, console: Console) -> None:
    path = getattr(run, "path", None)
    try:
        run_campaign(run, console)
    except KeyboardInterrupt:
        console.print(
            f"stopped; everything is saved. Go on with: python -m search resume {path}", highlight=False
        )
        raise


def _baselines(options: argparse.Namespace, console: Console) -> None:
    raise AssertionError


def _propose(options: argparse.Namespace, console: Console) -> None:
    raise AssertionError


def _status(options: argparse.Namespace, console: Console) -> None:
    raise AssertionError


if __name__ == "__main__":
    sys.exit(main())
