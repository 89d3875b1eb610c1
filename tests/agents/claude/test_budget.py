import threading

import pytest

from agents.claude.budget import FEWEST_OUTPUT, Budget, BudgetSpentError, MemoryAccount, Terms, priced
from agents.findings.usage import Usage
from agents.prices import PRICES, Price

PRICE = Price(input=4, output=20, cache_write=5, cache_read=0.2)
LANE = (1, "1")


def budget_of(cap: float, spent: float = 0.0, price: Price = PRICE) -> Budget:
    account = MemoryAccount()
    account.settle(account.reserve(LANE, 100.0), Usage(requests=1, usd=spent))
    return Budget(cap, price, account)


def test_a_request_costs_what_its_tokens_cost() -> None:
    usage = priced(PRICE, new=1_000, cache_write=20_000, cache_read=100_000, output=3_000)
    # 0.004 + 0.1 + 0.02 + 0.06 dollars
    assert usage.usd == pytest.approx(0.184)
    assert usage.all_input_tokens == 121_000
    assert usage.requests == 1


def test_a_request_reserves_the_most_it_can_cost_and_pays_what_it_did() -> None:
    budget = budget_of(1.0)
    reserved = budget.reserve(10_000, 20_000, LANE)
    # 10,000 tokens and a tenth more at 5 dollars a million, 20,000 at 20
    assert reserved.usd == pytest.approx(0.055 + 0.4)
    assert budget.left_usd == pytest.approx(0.545)
    budget.settle(reserved, Usage(requests=1, usd=0.1))
    assert budget.left_usd == pytest.approx(0.9)


def test_the_last_answer_is_shortened_to_what_is_left() -> None:
    reserved = budget_of(0.2).reserve(0, 32_000, LANE)
    assert reserved.max_tokens == 10_000
    assert reserved.usd == pytest.approx(0.2)


@pytest.mark.parametrize(("cap", "spent"), [(0.0, 0.0), (1.0, 1.0), (1.0, 5.0), (0.08, 0.0)])
def test_what_cannot_be_paid_is_not_asked(cap: float, spent: float) -> None:
    assert FEWEST_OUTPUT * 20 / 1e6 > 0.08
    budget = budget_of(cap, spent)
    with pytest.raises(BudgetSpentError, match="the budget is spent"):
        budget.reserve(1, 32_000, LANE)
    assert budget.left_usd == pytest.approx(max(0.0, cap - spent))


def test_lanes_that_ask_at_once_stay_under_the_cap_together() -> None:
    budget = budget_of(1.0)
    granted: list[float] = []
    barrier = threading.Barrier(16)

    def ask() -> None:
        barrier.wait()
        for _ in range(20):
            try:
                reserved = budget.reserve(1_000, 10_000, LANE)
            except BudgetSpentError:
                return
            granted.append(reserved.usd)
            budget.settle(reserved, Usage(requests=1, usd=reserved.usd))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.9 < sum(granted) <= 1.0 + 1e-9


def test_a_free_model_has_no_end() -> None:
    free = Price(input=0, output=0, cache_write=0, cache_read=0)
    assert budget_of(0.0, price=free).reserve(10**6, 32_000, LANE).max_tokens == 32_000


def test_a_request_without_an_answer_counts_at_its_reservation() -> None:
    account = MemoryAccount()
    budget = Budget(1.0, PRICE, account)
    first, second = (budget.reserve(0, 10_000, (1, name)) for name in "ab")
    assert account.usd == pytest.approx(0.4)
    budget.settle(first, Usage(requests=1, output_tokens=5_000, usd=0.1))
    assert account.usd == pytest.approx(0.3)
    assert account.usage((1, "a")).output_tokens == 5_000
    assert account.usage((1, "b")) == Usage(usd=second.usd)
    assert account.usage((2, "a")) == Usage()


def test_an_answer_that_cost_more_than_expected_counts_in_full(caplog: pytest.LogCaptureFixture) -> None:
    account = MemoryAccount()
    budget = Budget(1.0, PRICE, account)
    budget.settle(budget.reserve(0, 10_000, LANE), Usage(requests=1, usd=0.9))
    assert account.usd == 0.9
    assert "an answer cost 0.9000 dollars; at most 0.2000 was expected" in caplog.text


def test_a_long_prompt_is_priced_and_reserved_at_its_own_rates() -> None:
    haiku = PRICES["claude-haiku-5-5"]
    short = priced(haiku, new=0, cache_write=0, cache_read=100_000, output=1_000)
    long = priced(haiku, new=1, cache_write=0, cache_read=100_000, output=1_000)
    # 0.001 + 0.0005 dollars, and 0.005 + 0.0025
    assert (short.usd, long.usd) == (pytest.approx(0.0015), pytest.approx(0.0075005))
    reserved = budget_of(1.0, price=haiku).reserve(95_000, 10_000, LANE)
    # a tenth more than 95,000 is above 100,000: 104,500 at 0.625 dollars a million, 10,000 at 2.5
    assert reserved.usd == pytest.approx(0.0653125 + 0.025)


def test_an_hour_in_the_cache_a_batch_and_a_second_model_have_their_terms() -> None:
    usage = priced(PRICE, new=0, cache_write=10_000, cache_read=0, output=0, hour_write=4_000)
    assert usage.usd == pytest.approx((6_000 * 5 + 4_000 * 8) / 1e6)
    assert usage.cache_write_tokens == 10_000
    batch = budget_of(1.0).reserve(10_000, 10_000, LANE, Terms(prices=(PRICE,), hour=True, share=0.5))
    assert batch.usd == pytest.approx((11_000 * 8 + 10_000 * 20) / 1e6 / 2)
    both = budget_of(1.0).reserve(10_000, 10_000, LANE, Terms(prices=(PRICE, PRICE)))
    assert both.usd == pytest.approx(2 * (11_000 * 5 + 10_000 * 20) / 1e6)
