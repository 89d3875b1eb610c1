"""The command `trials`."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import RunFolder
from search.cli.output import console, stdout_for_json, write, write_json
from search.output.trials import as_csv, trial_rows, trials_table, write_parquet
from search.storage.object_store import snapshot
from search.storage.run_directory import RunDirectory

EXAMPLES = (
    ("trials runs/long", "a table, best first"),
    ("trials runs/long --csv > trials.csv", "for a spreadsheet"),
    ("trials runs/long --parquet trials.parquet", "for pandas, polars or DuckDB"),
)


def trials(
    directory: RunFolder,
    csv: Annotated[bool, typer.Option("--csv", help="Write CSV to stdout.")] = False,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a Parquet file.", show_default=False)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write a list of records to stdout as JSON.")
    ] = False,
) -> None:
    """Show every trial: method, scores, seconds, why it ended.

    Reads only. PGR is of the search split; what the confirmation found is in result.json.
    """
    if sum((csv, parquet is not None, as_json)) > 1:
        raise typer.BadParameter("give one of --csv, --parquet FILE and --json")
    with stdout_for_json(wanted=as_json):
        with snapshot(directory) as path:
            config, record = RunDirectory(path).load()
        rows = trial_rows(config, record)
        if as_json:
            write_json(rows)
        elif csv:
            write(as_csv(rows))
        elif parquet is not None:
            write_parquet(rows, parquet)
            write(f"{parquet}\n")
        else:
            console().print(trials_table(rows))
