"""What the command line takes: commands, their arguments, and their help with examples."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import shtab
from rich.console import Console

from search.cli import commands
from search.cli import submit as submission

FAILED, INPUT_MISTAKE, INTERRUPTED = 1, 2, 130


def parser(prog: str = "python -m search") -> argparse.ArgumentParser:
    """Of the whole command line: what it parses has the chosen command's function as `command`."""
    whole = argparse.ArgumentParser(
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
    subparsers = whole.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str,
        function: Callable[..., int | None],
        text: str,
        *examples: tuple[str, str],
        more: str = "",
    ) -> argparse.ArgumentParser:
        one = subparsers.add_parser(
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
        commands.run,
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
        commands.resume,
        "go on where a run stopped",
        ("resume runs/long", "whether it was interrupted, killed or lost its machine"),
        more="Nothing that had ended is run twice. A finished run is left as it is.",
    )
    _takes_directory(resume)
    _takes_json(resume, "the content of result.json")

    baselines = command(
        "baselines",
        commands.baselines,
        "train or show the weak floor and the ceiling",
        ("baselines configs/dev.yaml", "is there a gap to recover?"),
        ("baselines configs/dev.yaml --set strong.optim.epochs=5 --json", "the same for a script"),
        more="They are kept in the cache: a later run with the same settings does not train them again.",
    )
    _takes_config(baselines)
    _takes_json(baselines, "accuracies and standard errors")

    propose = command(
        "propose",
        commands.propose,
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
        commands.status,
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
        commands.report,
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
    return whole


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
    argument.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's own attribute


def _completion(options: argparse.Namespace, console: Console) -> None:
    sys.stdout.write(shtab.complete(parser("w2s"), options.shell) + "\n")
