from rich.console import Console

from agents.prices import PRICES, PRICES_OF
from search.output.agent.prices_table import price_rows, prices_table


def test_every_band_of_every_model_has_a_row() -> None:
    rows = price_rows()
    assert len(rows) == len(PRICES) + sum(price.long is not None for price in PRICES.values())
    short, long = (row for row in rows if row["model"] == "claude-haiku-5-5")
    assert (short["prompt_up_to"], long["prompt_above"]) == (100_000, 100_000)
    assert (short["cache_write_1h"], long["batch_input"]) == (0.2, 0.25)


def test_people_read_the_date() -> None:
    console = Console(width=140)
    with console.capture() as said:
        console.print(prices_table())
    assert f"as looked up on {PRICES_OF}" in said.get()
