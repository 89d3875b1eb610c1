"""What tokens cost. The API reports no dollars, so this table holds the prices, with their date.

The prices were looked up on 2026-11-28, in copies of the provider's pages, not on the live site:
platform.claude.com, "Pricing" (docs/en/about-claude/pricing) and the overview page of each model
(docs/en/models/NAME/overview). They hold the models up to Opus 5.5, and Haiku 5.5 with its two bands by
prompt length. Two rows stand in other texts only, which quote that site. Cache reads of Sonnet 5.5 fell
from 0.20 to 0.10 dollars on 2026-10-07 (release notes of PromptFuel v1.0.23 and of claudit v1.9.2). Fable
5.2 came on 2026-11-09 (docs.laozhang.ai of 2026-11-10, release notes of rightsize v0.10.2). Mythos 5.2 and
Mythos Preview are left out: no price of theirs was found. Standard rates: no fast mode, no surcharge for a
region.
"""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from trainers.component import Frozen

PRICES_OF = "2026-11-28"
BATCH_SHARE = 0.5  # of every price, for a request in a batch ("Batch processing")
Dollars = Annotated[float, Field(ge=0, le=10_000)]
_SNAPSHOT = re.compile(r"-20\d{6}$")


class Rates(Frozen):
    """US dollars per million tokens."""

    input: Annotated[Dollars, Field(description="Input tokens, in US dollars per million.")]
    output: Annotated[Dollars, Field(description="Output tokens, in US dollars per million.")]
    cache_write: Annotated[
        Dollars, Field(description="Tokens written to the five-minute cache, in US dollars per million.")
    ]
    cache_write_1h: Annotated[
        Dollars | None,
        Field(
            description="Tokens written to the one-hour cache, in US dollars per million. null: twice the "
            "input price."
        ),
    ] = None
    cache_read: Annotated[
        Dollars, Field(description="Tokens read from the cache, in US dollars per million.")
    ]

    @property
    def hour_write(self) -> float:
        """The price of a million tokens written to the one-hour cache."""
        return 2 * self.input if self.cache_write_1h is None else self.cache_write_1h

    def worst_input(self, *, hour: bool = False) -> float:
        """The highest price of a million input tokens. hour: whether the one-hour cache is written to."""
        return max(self.input, self.cache_write, self.cache_read, self.hour_write if hour else 0.0)


class Price(Rates):
    """The rates of a model, and other rates for long prompts if it has them."""

    long_above: Annotated[
        Annotated[int, Field(ge=1)] | None,
        Field(description="Input tokens, cached ones included, above which `long` holds. null: never."),
    ] = None
    long: Annotated[
        Rates | None, Field(description="Rates of a whole request whose prompt is longer than `long_above`.")
    ] = None

    def at(self, tokens: float) -> Rates:
        """The rates of a request with so many input tokens, cached ones included."""
        return self.long if self.long and self.long_above is not None and tokens > self.long_above else self


def _price(input: float, output: float, *, read: float, **more: object) -> Price:
    """Rates in the published proportions: a five-minute write is 1.25 times the input, an hour's is twice."""
    rates = {"input": input, "output": output, "cache_write": 1.25 * input, "cache_read": read}
    return Price.model_validate({**rates, "cache_write_1h": 2 * input, **more})


_LONG_HAIKU = Rates(input=0.5, output=2.5, cache_write=0.625, cache_write_1h=1, cache_read=0.05)
_OPUS_4 = _price(5, 25, read=0.5)
_SONNET_4 = _price(3, 15, read=0.3)
PRICES: Mapping[str, Price] = {
    "claude-fable-5-2": _price(8, 40, read=0.2),
    "claude-fable-5-1": _price(10, 50, read=0.25),
    "claude-mythos-5-1": _price(10, 50, read=0.25),
    "claude-fable-5": _price(10, 50, read=1),
    "claude-mythos-5": _price(10, 50, read=1),
    "claude-opus-5-5": _price(4, 20, read=0.2),
    "claude-opus-5": _price(5, 25, read=0.5),
    "claude-opus-4-8": _OPUS_4,
    "claude-opus-4-7": _OPUS_4,
    "claude-opus-4-6": _OPUS_4,
    "claude-opus-4-5": _OPUS_4,
    "claude-sonnet-5-5": _price(2, 10, read=0.1),
    "claude-sonnet-5": _price(2, 10, read=0.2),
    "claude-sonnet-4-6": _SONNET_4,
    "claude-sonnet-4-5": _SONNET_4,
    "claude-haiku-5-5": _price(0.1, 0.5, read=0.01, long_above=100_000, long=_LONG_HAIKU),
    "claude-haiku-4-5": _price(1, 5, read=0.1),
}


def listed(model: str) -> Price | None:
    """The table's price of a model or of a dated snapshot of it; None if it has none."""
    return PRICES.get(model) or PRICES.get(_SNAPSHOT.sub("", model))


def price_of(model: str, own: Price | None, setting: str = "agent.model") -> Price:
    """The price of a model: `own` from the config if given, else the table's. setting: where it is named.

    Raises ValueError if neither has the model: without a price no budget can be kept.
    """
    price = own or listed(model)
    if price is None:
        own_prices = setting.removesuffix("model") + "prices"
        remedy = (
            "name a model of the table"
            if setting in ("agent.fallbacks", "agent.other_model")
            else "give its price, in dollars per million: "
            f"{own_prices}={{input: 4, output: 20, cache_write: 5, cache_read: 1}}"
        )
        raise ValueError(
            f"{setting} {model!r} has no price in the table of {PRICES_OF} (`prices` prints it: "
            f"{_named(PRICES)}); {remedy}"
        )
    return price


def _named(models: Mapping[str, Price]) -> str:
    return ", ".join(name.removeprefix("claude-") for name in models)
