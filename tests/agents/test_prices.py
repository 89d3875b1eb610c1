import pytest

from agents.prices import PRICES, Price, price_of

PRICE = Price(input=4, output=20, cache_write=5, cache_read=0.2)


def test_an_unknown_model_needs_a_price() -> None:
    assert price_of("claude-opus-5-5", None) == PRICES["claude-opus-5-5"]
    assert price_of("mine", PRICE) == PRICE
    with pytest.raises(ValueError, match=r"agent.model 'mine' has no price .* agent.prices=\{input"):
        price_of("mine", None)


def test_the_worst_price_of_an_input_token_is_that_of_writing_or_of_reading_plainly() -> None:
    assert PRICE.worst_input == 5
    assert PRICE.model_copy(update={"input": 6.0}).worst_input == 6
    assert PRICE.model_copy(update={"cache_read": 7.0}).worst_input == 7


@pytest.mark.parametrize("model", PRICES)
def test_the_table_keeps_the_published_proportions(model: str) -> None:
    """A write to the five-minute cache costs 1.25 times the input, an output token five times."""
    price = PRICES[model]
    assert price.cache_write == pytest.approx(1.25 * price.input)
    assert price.output == pytest.approx(5 * price.input)
    assert price.cache_read < price.input
