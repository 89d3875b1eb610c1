import pytest

from agents.findings.bill import Bill
from agents.findings.usage import Usage


def test_what_was_never_answered_counts_at_its_reservation() -> None:
    bill = Bill()
    assert (bill.next_request, bill.usd, bill.by_lane()) == (1, 0.0, {})
    for lane in ("1", "2", "1"):
        bill.reserve(bill.next_request, (3, lane), 0.5)
    assert bill.usd == bill.unanswered_usd == 1.5
    bill.settle(1, Usage(requests=1, output_tokens=7, usd=0.125))  # answered
    bill.settle(2, Usage(usd=0.5))  # failed, and may be billed
    assert (bill.usd, bill.unanswered_usd, bill.next_request) == (1.125, 1.0, 4)
    assert bill.by_lane() == {
        (3, "1"): Usage(requests=1, output_tokens=7, usd=0.625),
        (3, "2"): Usage(usd=0.5),
    }


def test_a_request_that_was_refused_costs_nothing() -> None:
    bill = Bill()
    bill.reserve(1, (1, "1"), 0.5)
    bill.settle(1, Usage())
    assert bill.usd == bill.unanswered_usd == 0.0


@pytest.mark.parametrize("request_", [1, 2])
def test_nothing_is_settled_twice_or_without_a_reservation(request_: int) -> None:
    bill = Bill()
    bill.reserve(1, (1, "1"), 0.5)
    bill.settle(1, Usage(requests=1, usd=0.25))
    with pytest.raises(ValueError, match=f"the request {request_} has no open reservation"):
        bill.settle(request_, Usage())
    assert bill.usd == 0.25
