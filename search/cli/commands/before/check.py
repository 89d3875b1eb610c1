"""The command `check`."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import BranchFiles, ConfigFile, Overrides, UsdPerGpuHour
from search.cli.output import console, stdout_for_json, write_json
from search.config.load import load_config
from search.config.schema import RunConfig

EXAMPLES = (
    ("check reviews.yaml", "is everything there, and how long will it take?"),
    ("check reviews.yaml --quick", "the same without timing the models"),
    ("check reviews.yaml --usd-per-gpu-hour 3.5", "GPU-hours and their price, too"),
    ("check reviews.yaml --json | jq .seconds.wall_s", "for a script"),
)


def check(
    config: ConfigFile,
    overrides: Overrides,
    branches: BranchFiles,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not time the models; there are no seconds then.")
    ] = False,
    usd_per_hour: UsdPerGpuHour = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write what was found to stdout as JSON.")] = False,
) -> None:
    """Say what a run would meet and how long it takes.

    Loads data and models, and times a few steps of each on this machine; trains nothing to its end.
    Exits with 2 and the same line where `run` would be refused.
    """
    refuse_price_without_times(usd_per_hour, quick=quick)
    with stdout_for_json(wanted=as_json):
        loaded = load_config(config, overrides, branches)
        look_before(loaded, Path(), timed=not quick, as_json=as_json, usd_per_hour=usd_per_hour)


def refuse_price_without_times(usd_per_hour: float | None, *, quick: bool) -> None:
    """Raises BadParameter for a price of seconds that nobody measures."""
    if quick and usd_per_hour is not None:
        raise typer.BadParameter(
            f"--usd-per-gpu-hour {usd_per_hour:g} needs the seconds that --quick leaves out: leave one out"
        )


def look_before(
    config: RunConfig, folder: Path, *, timed: bool, as_json: bool, usd_per_hour: float | None = None
) -> None:
    """Check a config and print what was found. folder: where the run directory would be."""
    # torch and transformers take seconds to import; a mistake in the config is answered before.
    from search.preflight.check import check as checked
    from search.preflight.summary import summary

    people = console(as_json=as_json)
    with people.status("loading") as status:
        found = checked(
            config,
            timed=timed,
            folder=folder,
            say=lambda what: status.update(f"checking {what}"),
            usd_per_hour=usd_per_hour,
        )
    if as_json:
        write_json(found)
    else:
        people.print(summary(found))
