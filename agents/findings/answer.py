"""What a proposer hands back: a proposal, who in it said what, and what it cost."""

from collections import Counter
from collections.abc import Sequence
from math import log2
from typing import Annotated, Literal

from pydantic import Field

from agents.findings.usage import Usage
from agents.language.proposal import Branch, Proposal, Sentence
from trainers.component import Frozen

NOTE_LENGTH = 600

Source = Literal["claude", "replay", "playbook"]


class Note(Frozen):
    """A finding that a lane left for later rounds and for the other lanes."""

    round: Annotated[int, Field(ge=1)]
    lane: str
    text: Annotated[Sentence, Field(min_length=1, max_length=NOTE_LENGTH)]


class LaneReport(Frozen):
    """What became of one lane in one round.

    source: who proposed in the end. branches: names of those it brought to the round. refused: what was wrong
    with the others, a sentence each. why: what kept it from an answer, None where it has one.
    """

    lane: str
    direction: Sentence
    source: Source
    branches: tuple[str, ...]
    refused: tuple[Sentence, ...] = ()
    why: Sentence | None = None
    usage: Usage = Usage()
    tool_turns: int = 0
    repairs: int = 0
    budget_spent: bool = False


class Answer(Frozen):
    """A proposal with the lanes and notes behind it."""

    proposal: Proposal
    lanes: tuple[LaneReport, ...]
    notes: tuple[Note, ...] = ()


def family_shares(branches: Sequence[Branch]) -> dict[str, float]:
    """Each family's share of the branches, largest first."""
    counts = Counter(branch.family for branch in branches)
    return {family: count / len(branches) for family, count in counts.most_common()}


def entropy_bits(shares: Sequence[float]) -> float:
    """Shannon's entropy of shares that add up to 1, in bits: 0 where all is one, log2(n) where n are even."""
    return -sum(share * log2(share) for share in shares if share > 0) + 0.0
