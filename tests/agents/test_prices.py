import pytest

from agents.prices import PRICES, Price, price_of

PRICE = Price(input=4, output=20, cache_write=5, cache_read=0.2)


def test_an_unknown_model_needs_a_price() -> None:
    assert price_of("claude-opus-5-5", None) == PRICES["claude-opus-5-5"]
    assert price_of("mine", PRICE) == PRICE
    with pytest.raises(ValueError, match=r"agent.model 'mine' has no price .* agent.prices=\{input"):
        price_of("mine", None)
