"""Claude's proposer as a run has it, with its real client: a script answers in place of the model."""

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal
from unittest import mock

import numpy as np

from agents.claude import proposer as production
from agents.claude.board import Board
from agents.claude.proposer import ClaudeProposer
from agents.findings.findings import Findings
from agents.language.proposal import Proposal
from agents.language.validation import Problem
from agents.settings import ClaudeConfig, CriticConfig
from benchmarks.agent.colleagues.ideas import Knowledge
from benchmarks.agent.colleagues.scripts import CRITIC, Habits, Script, ScriptedCritic, ScriptedLane
from benchmarks.table.world import World
from tests.servers.messages_api import Body, Scripted, ScriptedClaude

KEY = "sk-of-this-benchmark"
SKILLED = Habits()
MAX_USD = 100_000.0  # money is no limit here

_open = ExitStack()  # the server of this process, until its end
atexit.register(_open.close)  # while its thread can still answer


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is asked. branches: of a lane. board: whether lanes hear of each other's and earlier branches.

    accuracy: of the critic, None for none; asks: what it looks for. refused: see CriticConfig.
    """

    lanes: int = 1
    branches: int = 4
    habits: Habits = SKILLED
    board: bool = True
    accuracy: float | None = None
    asks: Literal["fault", "worth"] = "fault"
    refused: Literal["return", "drop"] = "return"

    def config(self, url: str) -> ClaudeConfig:
        """The config of the proposer; `ASKED` reads the direction of each lane."""
        return ClaudeConfig(
            base_url=url,
            lanes=self.lanes,
            branches=self.branches,
            directions=tuple(f"lane {lane}" for lane in range(1, self.lanes + 1)),
            critic=None if self.accuracy is None else CriticConfig(model=CRITIC, refused=self.refused),
            tool_turns=0,
            suggestions=0.0,
            max_usd=MAX_USD,
            diagnose_cache=False,
        )


class Asked:
    """ClaudeProposer in a world, with scripts for its models."""

    def __init__(self, world: World, seed: int, setting: Setting) -> None:
        self.knowledge = Knowledge(world)
        self.script = _script(self.knowledge, setting, seed)
        self.accepted: set[str] = set()
        self.refused: set[str] = set()  # by the critic
        self.stand_ins = 0  # rounds in which the playbook proposed
        self._setting = setting
        with mock.patch.dict(os.environ, {"ANTHROPIC_API_KEY": KEY}):
            self._proposer = ClaudeProposer(setting.config(_server().url), seed=seed, run_dir=None)

    def propose(self, findings: Findings) -> Proposal:
        """The branches of a round."""
        server = _server()
        server.asked.clear()
        server.counted.clear()
        server.headers.clear()
        server.answer = self.script.answer
        self.script.begin(findings)
        with _in_order(board=self._setting.board):
            found = self._proposer.propose(findings)
        self.accepted |= {branch.name for branch in found.proposal.branches}
        self.refused |= {one.branch for lane in found.lanes for one in lane.reviews if one.refuses}
        self.stand_ins += any(lane.source == "playbook" for lane in found.lanes)
        return found.proposal


def _script(knowledge: Knowledge, setting: Setting, seed: int) -> Script:
    lanes = [
        ScriptedLane(knowledge, setting.habits, setting.branches, seed, lane)
        for lane in range(1, setting.lanes + 1)
    ]
    if setting.accuracy is None:
        return Script(lanes, None)
    rng = np.random.default_rng([seed, 7])
    critic = ScriptedCritic(accuracy=setting.accuracy, asks=setting.asks, knowledge=knowledge, rng=rng)
    return Script(lanes, critic)


class _NoBoard(Board):
    """Finds nothing."""

    def claim(self, lane: str, proposal: Proposal, wrong: Sequence[Problem]) -> list[Problem]:
        return []


@contextmanager
def _in_order(*, board: bool) -> Iterator[None]:
    """Lanes run one after the other, so that equal seeds give equal campaigns; without a board if so said."""

    def one_by_one(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
        return [task() for task in tasks]

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(production, "side_by_side", one_by_one))
        if not board:
            stack.enter_context(mock.patch.object(production, "Board", _NoBoard))
        yield


@cache
def _server() -> ScriptedClaude:
    """The one server of this process."""
    return _open.enter_context(ScriptedClaude(answer=_nobody, key=KEY).serving())


def _nobody(body: Body) -> Scripted:
    raise AssertionError("no campaign has begun")
