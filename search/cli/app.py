"""The command line: its commands, put together. One file a command; a new one is added to COMMANDS."""

from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer._completion_classes import completion_init  # no public name for it without two more options
from typer.core import TyperGroup
from typer.main import get_command

from search.cli.commands import (
    baselines,
    compare,
    completion,
    export,
    propose,
    report,
    resume,
    run,
    settings,
    status,
    steer,
    submit,
    trials,
)
from search.cli.commands.before import check, init, methods, prices

PROGRAM = "python -m search"
WIDTH = 100  # columns of a help text at most
Examples = Sequence[tuple[str, str]]
COMMANDS: dict[Callable[..., Any], Examples] = {
    init.init: init.EXAMPLES,
    check.check: check.EXAMPLES,
    run.run: run.EXAMPLES,
    resume.resume: resume.EXAMPLES,
    baselines.baselines: baselines.EXAMPLES,
    propose.propose: propose.EXAMPLES,
    methods.methods: methods.EXAMPLES,
    prices.prices: prices.EXAMPLES,
    status.status: status.EXAMPLES,
    steer.steer: steer.EXAMPLES,
    report.report: report.EXAMPLES,
    trials.trials: trials.EXAMPLES,
    compare.compare: compare.EXAMPLES,
    export.export: export.EXAMPLES,
    submit.submit: submit.EXAMPLES,
    settings.settings: settings.EXAMPLES,
    completion.completion: completion.EXAMPLES,
}
ABOUT = (
    ("run configs/dev.yaml", "a whole search on this machine, without network or key"),
    ("status runs/dev-20260101-120000 --watch", "look on from another terminal"),
    ("report runs/dev-20260101-120000", "one page to send to a colleague"),
    ("COMMAND --help", "more on a command, with examples"),
)
EXIT_CODES = """\b
exit codes:
    0 success, 1 a failed run, 2 a mistake in the input,
    130 interrupted with everything saved"""


def command_line() -> TyperGroup:
    """The whole command line, ready to be run or to complete a line of a shell."""
    completion_init()
    app = typer.Typer(
        help="Search for weak-to-strong methods that recover most of the performance gap (PGR).",
        epilog=f"{_written(ABOUT)}\n\n{EXIT_CODES}",
        add_completion=False,
        rich_markup_mode=None,  # boxes don't read well in a pipe
        context_settings={"max_content_width": WIDTH},
    )
    for command, examples in COMMANDS.items():
        app.command(epilog=_written(examples))(command)
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def _written(examples: Examples) -> str:
    """Commands with what each is for, as the end of a help text."""
    lines = [
        f"  {'' if 'w2s' in command else f'{PROGRAM} '}{command}\n      {text}" for command, text in examples
    ]
    return "\n".join(["\b", "examples:", *lines])  # after a line of \b, typer does not wrap
