"""The command `status`."""

from contextlib import suppress
from typing import Annotated

import typer
from rich.console import Console

from search.cli.options import RunFolder
from search.cli.output import console, stdout_for_json, write_json
from search.ledger.record import Record
from search.output.live_view import progress, view
from search.storage.object_store import at_work, bring, snapshot
from search.storage.run_directory import RunDirectory

EXAMPLES = (
    ("status runs/long", "a table of its branches"),
    ("status runs/long --watch", "the live table, until the run ends; Ctrl-C leaves the run alone"),
    ("status runs/long --json | jq .best", "for a script"),
)


def status(
    directory: RunFolder,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on showing it until the run ends, or no process works on it.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write the numbers of the table to stdout as JSON.")
    ] = False,
) -> None:
    """Show where a run stands.

    Reads only: it never disturbs the process that is at work on the run.
    """
    if watch and as_json:
        raise typer.BadParameter("--json is one answer, --watch is many: choose one of them")
    with stdout_for_json(wanted=as_json):
        _status(directory, watch=watch, as_json=as_json)


def _status(directory: str, *, watch: bool, as_json: bool) -> None:
    people = console(as_json=as_json)
    with snapshot(directory) as path:
        run = RunDirectory(path)
        if watch:
            with suppress(KeyboardInterrupt):  # Ctrl-C ends the looking, not the run
                record = view.watch(run, people, lambda: bring(directory, path), lambda: at_work(directory))
                _say_if_killed(people, directory, record, works=at_work(directory))
            return
        seen = view.look(run)
        works = at_work(directory)
    if as_json:
        write_json(progress.status_json(seen.config, seen.record, seen.clock_s()) | {"at_work": works})
        return
    people.print(seen.picture(seen.clock_s()))
    _say_if_killed(people, directory, seen.record, works=works)


def _say_if_killed(people: Console, directory: str, record: Record, *, works: bool | None) -> None:
    """Say how to resume a run that is neither finished nor interrupted, and that no process works on."""
    if works is False and progress.state(record) in ("in progress", "paused"):
        people.print(
            f"no process that can be seen from here is at work on it: python -m search resume {directory}",
            soft_wrap=True,
            highlight=False,
        )
