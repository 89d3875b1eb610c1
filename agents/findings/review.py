"""A critic's review of proposed branches, before trials are spent on them."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_core import from_json

from agents.language.proposal import Name, Proposal, Sentence
from agents.language.validation import MAX_BRANCHES, Problem
from trainers.component import Frozen
from trainers.printable import one_line

Answer = Annotated[Sentence, Field(max_length=4000)]


class Review(Frozen):
    """What a critic says of a branch."""

    branch: Annotated[Name, Field(description="name of the branch")]
    differs: Annotated[bool, Field(description="whether it differs in effect from what was tried")]
    holds: Annotated[bool, Field(description="whether its ranges hold the value it argues for")]
    refuted_by: Annotated[Answer, Field(description="the result that would refute it")]
    why: Annotated[Answer, Field(description="one sentence on the two verdicts")]

    @property
    def refuses(self) -> bool:
        """Whether the critic would spend no trials on it."""
        return not (self.differs and self.holds)


class Reviews(Frozen):
    """A critic's whole answer."""

    reviews: tuple[Review, ...]


def read_reviews(text: str, proposal: Proposal) -> tuple[Review, ...]:
    """The reviews of the proposal's branches in an answer, in their order, the first of each.

    Raises ValueError, on one line, if the answer cannot be read.
    """
    start, end = text.find("{"), text.rfind("}") + 1
    try:
        found = Reviews.model_validate(from_json(text[start:end] if start >= 0 else text))
    except (ValidationError, ValueError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ValueError(f"the review cannot be read: {one_line(reason)[:200]}") from None
    first = {review.branch: review for review in reversed(found.reviews)}
    return tuple(first[branch.name] for branch in proposal.branches if branch.name in first)


def objections(reviews: Sequence[Review], proposal: Proposal) -> list[Problem]:
    """The refused branches as problems of the proposal.

    Their places are names: the proposal may lack branches of the answer whose author reads this.
    """
    refused = {review.branch: review for review in reviews if review.refuses}
    return [
        Problem(branch=index, place=f"branch {branch.name}", text=_said(refused[branch.name]))
        for index, branch in enumerate(proposal.branches[:MAX_BRANCHES])
        if branch.name in refused
    ]


def _said(review: Review) -> str:
    reasons = ["it does not differ in effect from what was tried"] * (not review.differs)
    reasons += ["its ranges do not hold the value it argues for"] * (not review.holds)
    return f"a critic refuses it, as {' and '.join(reasons)}: {review.why}"[:600]
