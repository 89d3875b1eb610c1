"""The command `compare`."""

from typing import Annotated

import typer

from search.cli.options import complete_run
from search.cli.output import console, stdout_for_json, write_json
from search.output.comparison import compare_runs, comparison_json, comparison_table

EXAMPLES = (
    ("compare runs/one runs/two", "their best methods, on the same test examples"),
    ("compare runs/* --json | jq '.[].over_first'", "the differences from the first, for a script"),
)


def compare(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="DIR", help="Run directories, or their URLs.", autocompletion=complete_run),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Write a record for each run to stdout as JSON.")
    ] = False,
) -> None:
    """Show the outcomes of finished runs side by side.

    Differences are paired where seeds and weak labels are the same. Runs that were graded on other test
    examples are refused.
    """
    with stdout_for_json(wanted=as_json):
        show_runs(paths, as_json=as_json)


def show_runs(paths: list[str], *, as_json: bool) -> None:
    """Print the comparison of run directories; raises ValueError as `compare_runs`."""
    found = compare_runs(paths)
    if as_json:
        write_json(comparison_json(found))
    else:
        console().print(comparison_table(found))
