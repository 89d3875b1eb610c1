"""What tokens cost. The API reports no dollars, so this table holds the prices, with their date."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from trainers.component import Frozen

PRICES_OF = "2026-11"  # platform.claude.com, "Models & pricing": standard rates, no batch, no fast mode
Dollars = Annotated[float, Field(ge=0, le=10_000)]


class Price(Frozen):
    """US dollars per million tokens."""

    input: Annotated[Dollars, Field(description="Input tokens, in US dollars per million.")]
    output: Annotated[Dollars, Field(description="Output tokens, in US dollars per million.")]
    cache_write: Annotated[
        Dollars, Field(description="Tokens written to the five-minute cache, in US dollars per million.")
    ]
    cache_read: Annotated[
        Dollars, Field(description="Tokens read from the cache, in US dollars per million.")
    ]

    @property
    def worst_input(self) -> float:
        """The highest price of a million input tokens, cached or not."""
        return max(self.input, self.cache_write, self.cache_read)


PRICES: Mapping[str, Price] = {
    "claude-opus-5-5": Price(input=4, output=20, cache_write=5, cache_read=0.2),
    "claude-sonnet-5-5": Price(input=2, output=10, cache_write=2.5, cache_read=0.2),
    "claude-opus-5": Price(input=5, output=25, cache_write=6.25, cache_read=0.5),
    "claude-sonnet-5": Price(input=2, output=10, cache_write=2.5, cache_read=0.2),
}


def price_of(model: str, own: Price | None, setting: str = "agent.model") -> Price:
    """The price of a model: `own` from the config if given, else the table's. setting: where it is named.

    Raises ValueError if neither has the model: without a price no budget can be kept.
    """
    price = own or PRICES.get(model)
    if price is None:
        own_prices = setting.removesuffix("model") + "prices"
        raise ValueError(
            f"{setting} {model!r} has no price in the table of {PRICES_OF} ({', '.join(PRICES)}); add one, "
            f"in dollars per million: {own_prices}={{input: 4, output: 20, cache_write: 5, cache_read: 1}}"
        )
    return price
