import json
from collections.abc import Callable

import pytest

from agents.findings.review import Review, objections, read_reviews
from agents.language.proposal import Branch, Proposal


def review(branch: str, *, differs: bool = True, holds: bool = True) -> dict[str, object]:
    return {
        "branch": branch,
        "differs": differs,
        "holds": holds,
        "refuted_by": "no gain",
        "why": "It is\nclear.",
    }


@pytest.fixture
def proposal(branch: Callable[..., Branch]) -> Proposal:
    return Proposal(branches=(branch("a"), branch("b", 0.3), branch("c", 0.4)), rationale="")


def said(*reviews: dict[str, object]) -> str:
    return json.dumps({"reviews": list(reviews)})


@pytest.mark.parametrize("around", ["{}", "```json\n{}\n```", "I looked.\n{}\nThat is all."])
def test_reviews_are_read_in_the_order_of_branches_the_first_of_each(proposal: Proposal, around: str) -> None:
    text = said(review("b", holds=False), review("a"), review("b"), review("not proposed"))
    found = read_reviews(around.replace("{}", text), proposal)
    assert [(one.branch, one.refuses) for one in found] == [("a", False), ("b", True)]
    assert found[0].why == "It is clear."


@pytest.mark.parametrize("text", ["", "no", "{", '{"reviews": 3}', said({"branch": "a"}), "[" * 10_000])
def test_an_answer_that_is_no_review_is_named_on_one_line(proposal: Proposal, text: str) -> None:
    with pytest.raises(ValueError, match=r"^the review cannot be read: [^\n]+$"):
        read_reviews(text, proposal)


def test_refused_branches_are_problems_of_their_place_and_others_are_none(proposal: Proposal) -> None:
    reviews = [
        Review.model_validate(review("c", differs=False, holds=False)),
        Review.model_validate(review("a")),
        Review.model_validate(review("b", differs=False)),
    ]
    first, second = objections(reviews, proposal)
    assert (first.branch, first.place) == (1, "branch b")
    assert first.text == (
        "a critic refuses it, as it does not differ in effect from what was tried: It is clear."
    )
    assert second.branch == 2
    assert "tried and its ranges do not hold the value it argues for" in second.text
