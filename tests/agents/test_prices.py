import pytest

from agents.prices import PRICES, Price, Rates, listed, price_of

PRICE = Price(input=4, output=20, cache_write=5, cache_read=0.2)


def test_an_unknown_model_names_its_setting_and_the_remedy() -> None:
    assert price_of("claude-opus-5-5", None) == PRICES["claude-opus-5-5"]
    assert price_of("mine", PRICE) == PRICE
    with pytest.raises(ValueError, match=r"agent.model 'mine' has no price .* agent.prices=\{input"):
        price_of("mine", None)
    with pytest.raises(ValueError, match=r"agent.other_model 'mine' .* name a model of the table"):
        price_of("mine", None, "agent.other_model")


def test_a_dated_snapshot_costs_what_its_model_costs() -> None:
    assert listed("claude-haiku-4-5-20251001") == PRICES["claude-haiku-4-5"]
    assert listed("claude-haiku-4-5-2025") is None


@pytest.mark.parametrize(
    ("model", "rates"),
    [
        ("claude-opus-5-5", (4, 5, 8, 0.2, 20)),
        ("claude-opus-4-8", (5, 6.25, 10, 0.5, 25)),
        ("claude-fable-5-1", (10, 12.5, 20, 0.25, 50)),
        ("claude-fable-5-2", (8, 10, 16, 0.2, 40)),
        ("claude-sonnet-5-5", (2, 2.5, 4, 0.1, 10)),  # reads at half their price since 7 October 2026
        ("claude-haiku-5-5", (0.1, 0.125, 0.2, 0.01, 0.5)),
    ],
)
def test_prices_are_the_published_ones(model: str, rates: tuple[float, ...]) -> None:
    """Input, writes to the five-minute and the one-hour cache, reads, output: dollars per million tokens."""
    price = PRICES[model]
    found = (price.input, price.cache_write, price.hour_write, price.cache_read, price.output)
    assert found == pytest.approx(rates)


def test_a_long_prompt_costs_more_in_every_token() -> None:
    haiku = PRICES["claude-haiku-5-5"]
    assert haiku.at(100_000).output == 0.5
    long = haiku.at(100_001)
    assert (long.input, long.cache_write, long.hour_write, long.cache_read, long.output) == (
        0.5,
        0.625,
        1,
        0.05,
        2.5,
    )
    assert PRICES["claude-opus-5-5"].at(10**6) == PRICES["claude-opus-5-5"]


def test_the_worst_price_of_an_input_token_is_that_of_writing_or_of_reading_plainly() -> None:
    assert PRICE.worst_input() == 5
    assert PRICE.worst_input(hour=True) == 8  # twice the input where none is given
    assert PRICE.model_copy(update={"cache_write_1h": 9.0}).worst_input(hour=True) == 9
    assert PRICE.model_copy(update={"input": 6.0}).worst_input() == 6
    assert PRICE.model_copy(update={"cache_read": 7.0}).worst_input() == 7


@pytest.mark.parametrize("model", PRICES)
def test_the_table_keeps_the_published_proportions(model: str) -> None:
    """A write to the five-minute cache costs 1.25 times the input, to the hour's twice, output five times."""
    bands: list[Rates] = [PRICES[model]]
    bands += [long] if (long := PRICES[model].long) else []
    for rates in bands:
        assert rates.cache_write == pytest.approx(1.25 * rates.input)
        assert rates.hour_write == pytest.approx(2 * rates.input)
        assert rates.output == pytest.approx(5 * rates.input)
        assert rates.cache_read < rates.input
