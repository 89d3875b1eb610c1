"""The command `baselines`."""

from typing import Annotated

import typer

from search.cli.options import ConfigFile, Overrides
from search.cli.output import console, stdout_for_json, write_json
from search.config.load import load_config
from search.config.schema import RunConfig

EXAMPLES = (
    ("baselines configs/dev.yaml", "is there a gap to recover?"),
    ("baselines configs/dev.yaml --set seed=1 --json", "the same for a script"),
)


def baselines(
    config: ConfigFile,
    overrides: Overrides,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write accuracies and standard errors to stdout as JSON.")
    ] = False,
) -> None:
    """Train or show the weak floor and the ceiling.

    They are kept in the cache: a later run with the same settings does not train them again.
    """
    with stdout_for_json(wanted=as_json):
        _baselines(load_config(config, overrides), as_json=as_json)


def _baselines(loaded: RunConfig, *, as_json: bool) -> None:
    # Ray and torch take seconds to import: a mistake in the config is answered before.
    from search.campaign import baseline_scores
    from search.output.outcome_table import baseline_table

    people = console(as_json=as_json)
    scores = baseline_scores(loaded, people)
    if not as_json:
        people.print(baseline_table(loaded, scores))
        if not scores.gap_is_clear:
            people.print(
                "the gap is within two standard errors of zero: a run is refused unless "
                "baselines.allow_unclear_gap is true",
                style="yellow",
            )
        if scores.guessing:
            people.print(scores.guessing, style="yellow", highlight=False)
        return
    write_json(
        {
            **scores.accuracies,
            "gap": scores.gap,
            "gap_se": scores.gap_se,
            "majority": scores.majority,
            "seeds": loaded.baselines.seeds,
            "split": "search",
        }
    )
