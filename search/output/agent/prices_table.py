"""The prices of models, as a table for people and as rows for scripts."""

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agents.prices import BATCH_SHARE, PRICES, PRICES_OF, Rates

COLUMNS = ("input", "5 min write", "1 h write", "cache read", "output", "batch input", "batch output")


def price_rows() -> list[dict[str, Any]]:
    """A row for each model and band of prompt lengths, in US dollars per million tokens."""
    return [
        {"model": model, "prompt_above": above, "prompt_up_to": up_to, "of": PRICES_OF, **_dollars(rates)}
        for model, above, up_to, rates in _bands()
    ]


def prices_table() -> RenderableType:
    """The table for the terminal, with its date below."""
    table = Table(title="US dollars per million tokens", title_justify="left")
    table.add_column("model")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for model, above, up_to, rates in _bands():
        band = f", prompts above {above:,}" if above else f", prompts up to {up_to:,}" if up_to else ""
        table.add_row(Text(model + band), *(f"{dollars:g}" for dollars in _dollars(rates).values()))
    note = f"as looked up on {PRICES_OF}; agent.prices sets those of a model that is not listed"
    return Group(table, Text(note))


def _bands() -> Iterator[tuple[str, int | None, int | None, Rates]]:
    """(model, prompt tokens above which the rates hold, up to which, rates); None for no bound."""
    for model, price in PRICES.items():
        yield model, None, price.long_above, price
        if price.long is not None:
            yield model, price.long_above, None, price.long


def _dollars(rates: Rates) -> dict[str, float]:
    return {
        "input": rates.input,
        "cache_write_5m": rates.cache_write,
        "cache_write_1h": rates.hour_write,
        "cache_read": rates.cache_read,
        "output": rates.output,
        "batch_input": BATCH_SHARE * rates.input,
        "batch_output": BATCH_SHARE * rates.output,
    }
