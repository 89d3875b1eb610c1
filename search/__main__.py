"""The command line: python -m search run configs/dev.yaml"""

import argparse
import json
import logging
import os
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
        code = options.command(options, console)
    except ValueError as error:
        return _say(f"error: {error}", INPUT_MISTAKE)
    except (RuntimeError, OSError) as error:
        return _say(f"failed: {error}", FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code or 0


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

    def command(name: str, function: Callable[..., int | None], text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(command=function)
        return one

    run = command("run", _run, "search, confirm on the test split, write the outcome")
    _takes_config(run)
    run.add_argument(
        "--out", metavar="DIR", help="the run directory, or s3://... or gs://... (default runs/NAME-TIME)"
    )

    resume = command("resume", _resume, "go on where a run stopped")
    resume.add_argument("directory", metavar="DIR", help="a run directory, or its URL")

    baselines = command("baselines", _baselines, "train or show the weak floor and the ceiling")
    _takes_config(baselines)

    propose = command("propose", _propose, "one proposal, checked and printed; trains nothing")
    _takes_config(propose)
    propose.add_argument("--out", type=Path, metavar="DIR", help="propose the next round of this run")

    status = command("status", _status, "where a run stands")
    status.add_argument("directory", metavar="DIR", help="a run directory, or its URL")
    status.add_argument("--json", action="store_true", help="as JSON, for scripts")

    submit = command("submit", _submit, "the same run as a job on a Ray cluster; follows its log")
    _takes_config(submit, nargs="?")
    submit.add_argument("--address", required=True, metavar="URL", help="job server, as http://HEAD:8265")
    submit.add_argument(
        "--out",
        metavar="DIR",
        help="where the cluster keeps the run: a path all nodes see, or s3://..., gs://...",
    )
    submit.add_argument("--follow", metavar="ID", help="submit nothing; follow a job submitted before")
    return parser


def _takes_config(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    text = "a YAML file, such as configs/dev.yaml"
    parser.add_argument("config", type=Path, metavar="CONFIG", help=text, nargs=nargs)
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
    from search.mirror import run_path
    from search.run_dir import new_run

    config = load_config(options.config, options.set)
    out = options.out or f"runs/{config.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    with run_path(out) as path:
        run = new_run(path, config)
        console.print(f"run directory: {out}", highlight=False, soft_wrap=True)
        _campaign(run, console, out)


def _resume(options: argparse.Namespace, console: Console) -> None:
    from search.mirror import run_path
    from search.run_dir import RunDirectory

    with run_path(options.directory) as path:
        _campaign(RunDirectory(path), console, options.directory)


def _campaign(run: Any, console: Console, out: str) -> None:
    from search.campaign import run_campaign

    try:
        run_campaign(run, console)
    except KeyboardInterrupt:
        resume = f"python -m search resume {out}"
        console.print(f"stopped; everything is saved. Go on with: {resume}", highlight=False)
        raise


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
    from search.mirror import snapshot
    from search.run_dir import RunDirectory
    from search.view import status, status_json

    with snapshot(options.directory) as path:
        config, record = RunDirectory(path).load()
    if options.json:
        sys.stdout.write(json.dumps(status_json(config, record)) + "\n")
    else:
        console.print(status(config, record, None))


def _submit(options: argparse.Namespace, console: Console) -> int:
    from cluster import jobs
    from search.config import load_config
    from search.run_dir import commit

    if options.follow:
        client, job = jobs.connect(options.address), options.follow
        jobs.check_known(client, job)
    else:
        if options.config is None or options.out is None:
            raise ValueError("submit: name CONFIG and --out, or --follow ID to go on following a job")
        config, here = load_config(options.config, options.set), Path.cwd()
        sent = jobs.checked_working_dir(here, options.config)
        entry = jobs.entry_point(sent, options.set, jobs.checked_out(options.out))
        client = jobs.connect(options.address)
        env = jobs.runtime_env(here, commit())
        job = jobs.submit(client, name=config.name, entrypoint=entry, env=env)
        console.print(f"job {job}", highlight=False)
    again = f"python -m search submit --address {options.address} --follow {job}"
    return _followed(client, job, console, again)


def _followed(client: Any, job: str, console: Console, again: str) -> int:
    """Follow a job to its end; Ctrl-C asks what is to become of it."""
    from cluster import jobs

    def write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    while True:
        try:
            return jobs.follow(client, job, write)
        except jobs.LostError as error:
            raise RuntimeError(f"{error}; the job may go on: {again}") from None
        except KeyboardInterrupt:
            if not _stop_wanted():
                console.print(f"the job goes on. Follow it with: {again}", highlight=False, soft_wrap=True)
                raise
            console.print("stopping; the run saves its state", highlight=False)
            client.stop_job(job)


def _stop_wanted() -> bool:
    """Ask, where there is somebody to ask."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    try:
        return input("\nStop the job, or leave it running? [s/L] ").strip().lower().startswith("s")
    except (EOFError, KeyboardInterrupt):
        return False


if __name__ == "__main__":
    sys.exit(main())
