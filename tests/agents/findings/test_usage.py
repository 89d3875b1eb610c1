import pytest

from agents.claude.budget import priced
from agents.findings.usage import Usage
from agents.prices import Price

PRICE = Price(input=4, output=20, cache_write=5, cache_read=0.2)


def test_usage_adds_up() -> None:
    one = priced(PRICE, new=1, cache_write=2, cache_read=3, output=4)
    total = one + one + Usage(usd=1.0)
    assert (total.requests, total.input_tokens, total.cache_write_tokens) == (2, 2, 4)
    assert (total.cache_read_tokens, total.output_tokens) == (6, 8)
    assert total.usd == pytest.approx(1 + 2 * (4 + 10 + 0.6 + 80) / 1e6)


def test_every_input_token_counts_whether_from_the_cache_or_not() -> None:
    usage = Usage(input_tokens=1, cache_write_tokens=20, cache_read_tokens=300, output_tokens=4000)
    assert usage.all_input_tokens == 321
    assert (Usage() + usage) == usage
