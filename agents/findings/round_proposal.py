"""What a proposer returns for a round: the proposal, a report for each lane, notes, costs."""

from collections import Counter
from collections.abc import Sequence
from math import log2
from typing import Annotated, Literal

from pydantic import Field

from agents.findings.review import Review
from agents.findings.usage import Usage
from agents.language.proposal import Branch, Proposal, Sentence
from trainers.component import Frozen

NOTE_LENGTH = 600

Source = Literal["claude", "replay", "playbook"]


class Note(Frozen):
    """A finding that a lane leaves for later rounds and other lanes."""

    round: Annotated[int, Field(ge=1)]
    lane: str
    text: Annotated[Sentence, Field(min_length=1, max_length=NOTE_LENGTH)]


class ModelRefusal(Frozen):
    """A model that declined a request: which one, why by its own account, and after which framing.

    category: such as frontier_llm, None where it names none. framed: whether the request began with what the
    research is for.
    """

    model: Annotated[Sentence, Field(max_length=100)]
    category: Annotated[Sentence, Field(max_length=100)] | None = None
    explanation: Annotated[Sentence, Field(max_length=600)] | None = None
    framed: bool = False

    def __str__(self) -> str:
        said = f": {self.explanation}" if self.explanation else ""
        return f"{self.model} refused to answer ({self.category or 'no category'}){said}"


class LaneReport(Frozen):
    """The outcome of one lane in one round.

    source: the proposer whose branches were used. model: the model that answered last, empty if none did.
    branches: names of the branches that the lane added to the round. refused: a sentence for each problem of
    the other branches. refusals: each time that a model declined to answer. reviews: what a critic said; its
    report is a lane's of its own. why: why the lane has no proposal, None if it has.
    """

    lane: str
    direction: Sentence
    source: Source
    model: Sentence = ""
    branches: tuple[str, ...]
    refused: tuple[Sentence, ...] = ()
    refusals: tuple[ModelRefusal, ...] = ()
    reviews: tuple[Review, ...] = ()
    why: Sentence | None = None
    usage: Usage = Usage()
    tool_turns: int = 0
    repairs: int = 0
    budget_spent: bool = False


class RoundProposal(Frozen):
    """A round's proposal with the lanes and notes behind it."""

    proposal: Proposal
    lanes: tuple[LaneReport, ...]
    notes: tuple[Note, ...] = ()


def family_shares(branches: Sequence[Branch]) -> dict[str, float]:
    """Each family's share of the branches, largest first."""
    counts = Counter(branch.family for branch in branches)
    return {family: count / len(branches) for family, count in counts.most_common()}


def entropy_bits(shares: Sequence[float]) -> float:
    """Shannon entropy in bits of shares that add up to 1: 0 for a single share, log2(n) for n equal."""
    return -sum(share * log2(share) for share in shares if share > 0) + 0.0
