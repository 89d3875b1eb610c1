"""The command `run`."""

import time
from pathlib import Path
from typing import Annotated

import typer

from search.cli.commands.before.check import look_before
from search.cli.options import (
    BranchFiles,
    ConfigFile,
    OutcomeAsJson,
    Overrides,
    UsdPerGpuHour,
    complete_run,
)
from search.cli.outcome import reach_outcome
from search.cli.output import console, stdout_for_json
from search.config.load import load_config
from search.config.schema import RunConfig
from search.storage.object_store import check_claimable, is_url, local_copy, run_path
from search.storage.run_directory import claimed_run

EXAMPLES = (
    ("run configs/dev.yaml", "into runs/dev-TIME"),
    ("run configs/dev.yaml --set search.trials=100 --set seed=1", "other settings"),
    ("run configs/dev.yaml --dry-run", "what it would meet and take; trains nothing"),
    ("run configs/dev.yaml --out runs/long --json | jq .best.pgr", "the outcome to a script"),
)


def run(
    config: ConfigFile,
    overrides: Overrides,
    branches: BranchFiles,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="The run directory, or an s3://, gs:// or az:// URL. Default: runs/NAME-TIME.",
            autocompletion=complete_run,
        ),
    ] = None,
    as_json: OutcomeAsJson = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train nothing; say what the run would meet, as `check` does.")
    ] = False,
    usd_per_hour: UsdPerGpuHour = None,
) -> None:
    """Search, confirm on the test split, write the outcome.

    The same command with the same --out goes on where an interrupted run stopped.
    `python -m search settings` prints every setting, its bounds and its meaning.
    """
    if usd_per_hour is not None and not dry_run:
        raise typer.BadParameter(
            f"--usd-per-gpu-hour {usd_per_hour:g} only says what a run would cost: add --dry-run"
        )
    with stdout_for_json(wanted=as_json):
        loaded = load_config(config, overrides, branches)
        if loaded.from_runs:
            loaded = _with_earlier(loaded, adopt=not dry_run)
        if dry_run:
            _dry_run(loaded, out, as_json=as_json, usd_per_hour=usd_per_hour)
        else:
            start(loaded, out, as_json=as_json)


def _with_earlier(loaded: RunConfig, *, adopt: bool) -> RunConfig:
    """The config with the methods of earlier runs. adopt: whether to enter their openings in its registry."""
    from search.preflight.earlier import adopt_openings, with_earlier  # half a second, which few runs need

    loaded = with_earlier(loaded)
    if adopt:
        adopt_openings(loaded)
    return loaded


def start(loaded: RunConfig, out: str | None, *, as_json: bool) -> None:
    """Run a config to its outcome. out: the run directory, None for runs/NAME-TIME."""
    out = out or f"runs/{loaded.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    people = console(as_json=as_json)
    with run_path(out, loaded) as path, claimed_run(path, loaded) as directory:
        people.print(f"run directory: {out}", highlight=False, soft_wrap=True)
        reach_outcome(directory, people, out=out, as_json=as_json)


def _dry_run(loaded: RunConfig, out: str | None, *, as_json: bool, usd_per_hour: float | None) -> None:
    folder = Path()
    if out:
        check_claimable(out, loaded)
        folder = local_copy(out) if is_url(out) else Path(out).expanduser()
    look_before(loaded, folder, timed=True, as_json=as_json, usd_per_hour=usd_per_hour)
