"""The command `run`."""

import time
from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import ConfigFile, OutcomeAsJson, Overrides, complete_run
from search.cli.outcome import reach_outcome
from search.cli.output import console, stdout_for_json
from search.config.load import load_config
from search.storage.object_store import run_path
from search.storage.run_directory import claimed_run

EXAMPLES = (
    ("run configs/dev.yaml", "into runs/dev-TIME"),
    ("run configs/dev.yaml --set search.trials=100 --set seed=1", "other settings"),
    ("run configs/dev.yaml --out runs/long --json | jq .best.pgr", "the outcome to a script"),
)


def run(
    config: ConfigFile,
    overrides: Overrides,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="The run directory, or an s3://, gs:// or az:// URL. Default: runs/NAME-TIME.",
            autocompletion=complete_run,
        ),
    ] = None,
    as_json: OutcomeAsJson = False,
) -> None:
    """Search, confirm on the test split, write the outcome.

    The same command with the same --out goes on where an interrupted run stopped.
    `python -m search settings` prints every setting, its bounds and its meaning.
    """
    with stdout_for_json(wanted=as_json):
        _run(config, overrides, out, as_json=as_json)


def _run(config: Path, overrides: list[str], out: str | None, *, as_json: bool) -> None:
    loaded = load_config(config, overrides)
    out = out or f"runs/{loaded.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    people = console(as_json=as_json)
    with run_path(out, loaded) as path, claimed_run(path, loaded) as directory:
        people.print(f"run directory: {out}", highlight=False, soft_wrap=True)
        reach_outcome(directory, people, out=out, as_json=as_json)
