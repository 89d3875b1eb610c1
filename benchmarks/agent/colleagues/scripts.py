"""Scripts in place of models: a lane of known skill and faults, a critic of known accuracy."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from agents.findings.findings import Findings
from agents.findings.review import Review, Reviews
from agents.language.proposal import Branch, Proposal
from benchmarks.agent.colleagues.ideas import Idea, Knowledge, Reach
from benchmarks.agent.colleagues.wording import beside, named, reworded, shifted
from tests.servers.messages_api import Body, Scripted, text

Kind = Literal["sound", "reworded", "shifted", "beside"]
REPEATS: tuple[Kind, ...] = ("reworded", "shifted")
FAULTS: tuple[Kind, ...] = (*REPEATS, "beside")
OWN_WORDS = 0.01  # of a range: by so much the words of two lanes differ, and those of a repeat
CRITIC = "claude-sonnet-5-5"
ASKED = re.compile(r"Your direction in this round: lane (\d+)")
PROPOSED = re.compile(r"^([a-z0-9-]+) \([a-z-]+, from ", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How lanes propose.

    skills: of each round in turn, the last for all later ones: the correlation of what a lane expects of an
    idea with the best test PGR among its rows. alike: whether all lanes expect what the first one does.
    faulty: the share of its branches that have a fault, each kind as often.
    """

    skills: tuple[float, ...] = (0.7,)
    alike: bool = False
    faulty: float = 0.0

    def skill(self, round: int) -> float:
        """Of a round, from 1."""
        return self.skills[min(round, len(self.skills)) - 1]


@dataclass(frozen=True, kw_only=True)
class Said:
    """A branch that a lane has proposed, and what it could reach at that time."""

    branch: Branch
    idea: Idea
    kind: Kind
    reach: Reach


class ScriptedLane:
    """Proposes the ideas that it expects most of, in words of its own; learns from nothing but the record.

    What comes back is put right: a range is widened to hold the value, a repeat gives way to the next idea.
    """

    def __init__(self, knowledge: Knowledge, habits: Habits, branches: int, seed: int, lane: int) -> None:
        self._knowledge, self._habits = knowledge, habits
        self._branches, self._lane = branches, lane
        self._rng = np.random.default_rng([seed, lane])
        errors = np.random.default_rng([seed, 1 if habits.alike else lane, 1])
        self._errors = errors.normal(size=len(knowledge.ideas))
        self.said: list[Said] = []  # in all rounds
        self._now: list[Said] = []
        self._left: list[Idea] = []

    def begin(self, findings: Findings, everything: Sequence[Said]) -> None:
        """Begin a round. everything: what all lanes have said so far; what was accepted of it is not new."""
        accepted = {found.branch.name for found in findings.branches}
        self._now = []
        self._tried = {trial.method.plainest.digest for trial in findings.trials}
        self._accepted = [said for said in everything if said.branch.name in accepted]
        known = {said.idea.branch.name for said in self._accepted if said.kind != "beside"}
        ideas = self._knowledge.ideas
        expected = self._knowledge.expected(self._habits.skill(findings.round), self._errors)
        self._left = [
            ideas[i] for i in np.argsort(-expected, kind="stable") if ideas[i].branch.name not in known
        ]

    def answer(self, problems: str) -> Proposal:
        """A proposal. problems: of the last one, in which what they name is replaced; empty for the first."""
        if not problems:
            self._now = [said for _ in range(self._branches) if (said := self._next(self._kind()))]
        for place, said in enumerate(list(self._now)):
            if _at_fault(problems, place, said):
                mended = self._say(said.idea, "sound") if said.kind == "beside" else self._next("sound")
                self._now[place] = mended or said
        return Proposal(branches=tuple(said.branch for said in self._now), rationale="a script")

    def _kind(self) -> Kind:
        if self._rng.random() >= self._habits.faulty:
            return "sound"
        return FAULTS[int(self._rng.integers(len(FAULTS)))]

    def _next(self, kind: Kind) -> Said | None:
        """A repeat of an accepted branch, or the next idea; beside its value where nothing can be repeated.

        None if there is no idea left.
        """
        if kind in REPEATS and self._accepted:
            again = self._accepted[int(self._rng.integers(len(self._accepted)))]
            return self._say(again.idea, kind, again.branch)
        if not self._left:
            return None
        return self._say(self._left.pop(0), "sound" if kind == "sound" else "beside")

    def _say(self, idea: Idea, kind: Kind, again: Branch | None = None) -> Said:
        branch, words, naive = again or idea.branch, OWN_WORDS * self._lane, self._knowledge.naive
        if kind == "beside" and (cut := beside(branch, idea.argued, naive)):
            branch = cut
        else:
            kind = "sound" if kind == "beside" else kind
            branch = shifted(branch) if kind == "shifted" else reworded(branch, words)
        branch = named(branch, f"{idea.branch.name[:36]}-{self._lane}-{len(self.said)}")
        reach = self._knowledge.reach(branch, self._tried)
        self.said.append(Said(branch=branch, idea=idea, kind=kind, reach=reach))
        return self.said[-1]


def _at_fault(problems: str, place: int, said: Said) -> bool:
    """Whether problems name a branch: the critic's by its name, others by its place."""
    return any(
        f"branch {said.branch.name}: a critic refuses" in line or f"branches[{place}]" in line
        for line in problems.splitlines()
    )


@dataclass(kw_only=True)
class ScriptedCritic:
    """Says of each branch whether it has a fault, or whether it is worth trials, and is sometimes wrong.

    asks: a fault is what the critic of a run is asked for: a repeat, or a range without the argued value.
    worth: whether its best row is better than that of the median idea. accuracy: how often it is right.
    """

    accuracy: float
    asks: Literal["fault", "worth"]
    knowledge: Knowledge
    rng: np.random.Generator
    given: dict[str, Review] = field(default_factory=dict)

    def review(self, said: Said) -> Review:
        """The same each time that it is asked."""
        name = said.branch.name
        if name not in self.given:
            right = bool(self.rng.random() < self.accuracy)
            verdict = {"branch": name, "refuted_by": "no gain over naive", "why": "A script says so."}
            self.given[name] = Review(**verdict, **self._verdict(said, right))
        return self.given[name]

    def _verdict(self, said: Said, right: bool) -> dict[str, bool]:
        if self.asks == "worth":
            best = said.reach.best
            return {"differs": True, "holds": (best is not None and best > self.knowledge.median) == right}
        if said.kind in REPEATS:
            return {"differs": not right, "holds": True}
        return {"differs": True, "holds": (said.kind == "sound") == right}


class Script:
    """The answers of all models of a campaign to the requests of Claude's proposer."""

    def __init__(self, lanes: Sequence[ScriptedLane], critic: ScriptedCritic | None) -> None:
        self._lanes = lanes
        self._critic = critic

    @property
    def said(self) -> dict[str, Said]:
        """Every branch of every lane so far, by name."""
        return {said.branch.name: said for lane in self._lanes for said in lane.said}

    def begin(self, findings: Findings) -> None:
        """Begin a round."""
        everything = list(self.said.values())
        for lane in self._lanes:
            lane.begin(findings, everything)

    def answer(self, body: Body) -> Scripted:
        """Of the lane, or the critic, that a request is for."""
        first, last = _text(body["messages"][0]), _text(body["messages"][-1])
        if body["model"] == CRITIC:
            return text(self._reviews(last).model_dump_json())
        found = ASKED.search(first)
        assert found is not None
        proposal = self._lanes[int(found[1]) - 1].answer(last if len(body["messages"]) > 1 else "")
        return text(json.dumps(proposal.model_dump(mode="json")))

    def _reviews(self, asked: str) -> Reviews:
        assert self._critic is not None
        said, review = self.said, self._critic.review
        names = [name for name in PROPOSED.findall(asked.rpartition("proposed now:")[2]) if name in said]
        return Reviews(reviews=tuple(review(said[name]) for name in names))


def _text(message: Body) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "\n".join(block.get("text", "") for block in content)
