"""The command `compare`: runs side by side, or methods on a config's data."""

import json
from pathlib import Path
from typing import Annotated

import typer

from search.cli.commands.before.methods import complete_word
from search.cli.commands.run import start
from search.cli.options import YAML, Overrides, complete_config, complete_run
from search.cli.output import console, stdout_for_json, write_json
from search.config.load import load_config
from search.output.comparison import compare_runs, comparison_json, comparison_table

EXAMPLES = (
    ("compare runs/one runs/two", "their best methods, on the same test examples"),
    ("compare runs/* --json | jq '.[].over_first'", "the differences from the first, for a script"),
    (
        "compare reviews.yaml --seeds 8 \\\n      --methods confidence-loss,label-propagation",
        "baselines of the literature on your data",
    ),
    ("compare reviews.yaml", "the methods that the config lists"),
)


def complete_path(incomplete: str) -> list[str]:
    """Configs and run directories."""
    return list(dict.fromkeys([*complete_config(incomplete), *complete_run(incomplete)]))


def compare(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH", help="Run directories, or one YAML file.", autocompletion=complete_path
        ),
    ],
    overrides: Overrides,
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Methods of the playbook, separated by commas. Default: `methods` of the config.",
            autocompletion=complete_word,
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", help="Fresh seeds of each method. Default: confirm.seeds.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="The run directory. Default: runs/NAME-TIME.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write the answer to stdout as JSON, and all else to stderr.")
    ] = False,
) -> None:
    """Compare finished runs, or methods without a search.

    Run directories or URLs: their outcomes side by side, paired where seeds and weak labels are the same;
    runs that were graded on other test examples are refused.

    A config: each method is trained once on the search split, then confirmed against naive over fresh seeds
    on the test split. `python -m search methods` lists the names.
    """
    configs = [path for path in paths if path.endswith(YAML)]
    if not configs and (methods is not None or seeds is not None or out is not None or overrides):
        raise ValueError("--methods, --seeds, --out and --set are for methods: name one config, a .yaml file")
    if configs and len(paths) > 1:
        raise ValueError(f"compare {' '.join(paths)}: name one config, or run directories")
    with stdout_for_json(wanted=as_json):
        if not configs:
            show_runs(paths, as_json=as_json)
            return
        loaded = load_config(Path(configs[0]), [*_asked(methods, seeds), *overrides])
        if not loaded.methods:
            raise ValueError(
                f"{configs[0]}: has no methods: name them, such as "
                "--methods confidence-loss,label-propagation"
            )
        start(loaded, out, as_json=as_json)


def _asked(methods: str | None, seeds: int | None) -> list[str]:
    """The settings that the options stand for."""
    settings = []
    if methods is not None:
        names = [name.strip() for name in methods.split(",") if name.strip()]
        settings += [f"methods={json.dumps(names)}", "replication.seeds=1"]
    if seeds is not None:
        settings += [f"confirm.seeds={seeds}"]
    return settings


def show_runs(paths: list[str], *, as_json: bool) -> None:
    """Print the comparison of run directories; raises ValueError as `compare_runs`."""
    found = compare_runs(paths)
    if as_json:
        write_json(comparison_json(found))
    else:
        console().print(comparison_table(found))
