"""The command `prices`: what the models of the proposer cost."""

from typing import Annotated

import typer

from search.cli.output import console, stdout_for_json, write_json

EXAMPLES = (
    ("prices", "what the models that can propose cost, and when that was read"),
    ("prices --json", "the same for a script"),
)


def prices(
    as_json: Annotated[bool, typer.Option("--json", help="Write the table to stdout as JSON.")] = False,
) -> None:
    """Print the prices by which agent.max_usd is kept.

    A model that the table lacks needs agent.prices. Nothing is looked up: the table has a date.
    """
    with stdout_for_json(wanted=as_json):
        from search.output.agent.prices_table import price_rows, prices_table

        console(as_json=as_json).print(prices_table())
        if as_json:
            write_json(price_rows(), indent=1)
