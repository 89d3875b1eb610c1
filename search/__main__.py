"""The command line: python -m search run configs/dev.yaml"""

import argparse
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import shtab
from rich.console import Console

from search import submission

FAILED, INPUT_MISTAKE, INTERRUPTED = 1, 2, 130
PIPE_WIDTH = 140  # columns where the output is no terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0 success, 1 a failed run, 2 a mistake in the input, 130 interrupted with everything saved.
    """
    options = _parser().parse_args(arguments)
    stream = sys.stderr if getattr(options, "json", False) else sys.stdout  # a script reads stdout
    console = Console(file=stream, width=None if stream.isatty() else PIPE_WIDTH)
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


def _parser(prog: str = "python -m search") -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Search for weak-to-strong methods that recover most of the performance gap (PGR).",
        epilog=_examples(
            ("run configs/dev.yaml", "a whole search on this machine, without network or key"),
            ("status runs/dev-20260101-120000 --watch", "look on from another terminal"),
            ("report runs/dev-20260101-120000", "one page to send to a colleague"),
            ("COMMAND --help", "more on a command, with examples"),
        )
        + f"\n\nexit codes: 0 success, {FAILED} a failed run, {INPUT_MISTAKE} a mistake in the input, "
        f"{INTERRUPTED} interrupted with everything saved",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str,
        function: Callable[..., int | None],
        text: str,
        *examples: tuple[str, str],
        more: str = "",
    ) -> argparse.ArgumentParser:
        one = commands.add_parser(
            name,
            help=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            description=f"{text[0].upper()}{text[1:]}.\n{more}",
            epilog=_examples(*examples),
        )
        one.set_defaults(command=function)
        return one

    run = command(
        "run",
        _run,
        "search, confirm on the test split, write the outcome",
        ("run configs/dev.yaml", "into runs/dev-TIME"),
        ("run configs/dev.yaml --set search.trials=100 --set seed=1 --out runs/long", "other settings"),
        ("run configs/dev.yaml --json | jq .best.pgr", "the outcome to a script, progress to stderr"),
        more="The same command with the same --out goes on where an interrupted run stopped.",
    )
    _takes_config(run)
    _complete(
        run.add_argument(
            "--out", metavar="DIR", help="the run directory, or s3://... or gs://... (default runs/NAME-TIME)"
        )
    )
    _takes_json(run, "the content of result.json")

    resume = command(
        "resume",
        _resume,
        "go on where a run stopped",
        ("resume runs/long", "whether it was interrupted, killed or lost its machine"),
        more="Nothing that had ended is run twice. A finished run is left as it is.",
    )
    _takes_directory(resume)
    _takes_json(resume, "the content of result.json")

    baselines = command(
        "baselines",
        _baselines,
        "train or show the weak floor and the ceiling",
        ("baselines configs/dev.yaml", "is there a gap to recover?"),
        ("baselines configs/dev.yaml --set strong.optim.epochs=5 --json", "the same for a script"),
        more="They are kept in the cache: a later run with the same settings does not train them again.",
    )
    _takes_config(baselines)
    _takes_json(baselines, "accuracies and standard errors")

    propose = command(
        "propose",
        _propose,
        "one proposal, checked and printed; trains nothing",
        ("propose configs/dev.yaml", "the first round"),
        ("propose configs/dev.yaml --out runs/long", "the next round of a run"),
    )
    _takes_config(propose)
    propose.add_argument(
        "--out", metavar="DIR", help="propose the next round of this run, or of that at a URL"
    )

    status = command(
        "status",
        _status,
        "where a run stands",
        ("status runs/long", "a table of its branches"),
        ("status runs/long --watch", "the live table, until the run ends; Ctrl-C leaves the run alone"),
        ("status runs/long --json | jq .best", "for a script"),
        more="Reads only: it never disturbs the process that is at work on the run.",
    )
    _takes_directory(status)
    one_of = status.add_mutually_exclusive_group()
    one_of.add_argument("--watch", action="store_true", help="go on showing it until it ends")
    _takes_json(one_of, "the numbers of the table")

    report = command(
        "report",
        _report,
        "write report.html of a run and print its path",
        ("report runs/long", "runs/long/report.html, of a run in progress as well"),
        ("report s3://bucket/runs/long", "a copy on this machine; the run at the URL is left as it is"),
        more="One self-contained file: figures, branches, failures and how to reproduce. No network needed.",
    )
    _takes_directory(report)

    submit = command(
        "submit",
        submission.submit,
        "the same run as a job on a Ray cluster; follows its log",
        ("submit configs/dev.yaml --address http://HEAD:8265 --out /shared/runs/long", "a shared folder"),
        ("submit configs/dev.yaml --address http://HEAD:8265 --out s3://bucket/runs/long", "object storage"),
        ("submit --address http://HEAD:8265 --follow JOB", "after the connection was lost"),
        more="Ctrl-C asks whether to stop the job. The same command again goes on where a stopped job was.",
    )
    _takes_config(submit, nargs="?")
    submit.add_argument("--address", required=True, metavar="URL", help="job server, as http://HEAD:8265")
    submit.add_argument(
        "--out",
        metavar="DIR",
        help="where the cluster keeps the run: a path all nodes see, or s3://..., gs://...",
    )
    submit.add_argument("--follow", metavar="ID", help="submit nothing; follow a job submitted before")

    completion = command(
        "completion",
        _completion,
        "print a script that completes commands and settings in a shell",
        ('eval "$(w2s completion bash)"', "in ~/.bashrc; w2s is what installation calls python -m search"),
        ("w2s completion zsh > ~/.zfunc/_w2s", "for zsh"),
    )
    completion.add_argument("shell", choices=shtab.SUPPORTED_SHELLS)
    return parser


def _examples(*examples: tuple[str, str]) -> str:
    """Commands with what each is for, as the end of a help text."""
    lines = [
        f"  {'' if 'w2s' in command else 'python -m search '}{command}\n      {text}"
        for command, text in examples
    ]
    return "examples:\n" + "\n".join(lines)


def _takes_config(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    text = "a YAML file, such as configs/dev.yaml"
    _complete(parser.add_argument("config", type=Path, metavar="CONFIG", help=text, nargs=nargs))
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a setting, such as search.trials=100; may be repeated",
    )


def _takes_directory(parser: argparse.ArgumentParser) -> None:
    _complete(parser.add_argument("directory", metavar="DIR", help="a run directory, or its URL"))


def _takes_json(parser: argparse._ActionsContainer, what: str) -> None:
    parser.add_argument("--json", action="store_true", help=f"{what} as JSON on stdout, for scripts")


def _complete(argument: argparse.Action) -> None:
    """Have the shell complete an argument with the names of files."""
    argument.complete = shtab.FILE  # type: ignore[attr-defined]


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
        _campaign(run, console, out, options.json)


def _resume(options: argparse.Namespace, console: Console) -> None:
    from search.mirror import run_path
    from search.run_dir import RunDirectory

    with run_path(options.directory) as path:
        _campaign(RunDirectory(path), console, options.directory, options.json)


def _campaign(run: Any, console: Console, out: str, as_json: bool) -> None:
    from search.campaign import run_campaign

    resume = f"python -m search resume {out}"
    try:
        outcome = run_campaign(run, console)
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
    if as_json:
        _print_json(outcome)


def _baselines(options: argparse.Namespace, console: Console) -> None:
    from search.campaign import baseline_scores, baseline_table
    from search.config import load_config

    config = load_config(options.config, options.set)
    scores = baseline_scores(config, console)
    if options.json:
        _print_json(
            {
                "weak_acc": scores.weak.value,
                "weak_se": scores.weak.se,
                "ceiling_acc": scores.ceiling.value,
                "ceiling_se": scores.ceiling.se,
                "seeds": config.baselines.seeds,
                "split": "search",
            }
        )
    else:
        console.print(baseline_table(config, scores))


def _propose(options: argparse.Namespace, console: Console) -> None:
    from search.briefing import brief
    from search.campaign import new_proposer
    from search.config import load_config
    from search.mirror import snapshot
    from search.record import Record
    from search.rendering import cost_table, proposal_table
    from search.rounds import ask, checked
    from search.run_dir import RunDirectory

    config, record = load_config(options.config, options.set), Record()
    if options.out:
        with snapshot(options.out) as path:
            config, record = RunDirectory(path).load()
    answer = ask(config, new_proposer(config, None), brief(config, record))
    proposal, problems = checked(config, record, answer.proposal)
    for reason in [*(reason for lane in answer.lanes for reason in lane.refused), *map(str, problems)]:
        console.print(f"refused: {reason}", highlight=False, markup=False)
    console.print(proposal_table(proposal))
    if answer.lanes:
        console.print(cost_table(answer.lanes))


def _status(options: argparse.Namespace, console: Console) -> None:
    from search.mirror import snapshot
    from search.run_dir import RunDirectory
    from search.view import status, status_json, watch

    if options.watch:
        with snapshot(options.directory) as path, suppress(KeyboardInterrupt):
            watch(RunDirectory(path), console)  # Ctrl-C ends the looking, not the run
        return
    with snapshot(options.directory) as path:
        config, record = RunDirectory(path).load()
    if options.json:
        _print_json(status_json(config, record))
    else:
        console.print(status(config, record, None))


def _report(options: argparse.Namespace, console: Console) -> None:
    from search.mirror import is_url, local_copy, snapshot
    from search.report import write_report
    from search.run_dir import RunDirectory

    with snapshot(options.directory) as path:  # which is gone afterwards; the copy of a URL's run is not
        kept = local_copy(options.directory) if is_url(options.directory) else path
        sys.stdout.write(f"{write_report(RunDirectory(path), kept / 'report.html')}\n")


def _completion(options: argparse.Namespace, console: Console) -> None:
    sys.stdout.write(shtab.complete(_parser("w2s"), options.shell) + "\n")


def _print_json(values: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # before anything is under way, as Ctrl-C
    sys.exit(main())
