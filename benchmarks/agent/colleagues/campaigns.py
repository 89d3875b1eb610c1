"""Paired campaigns with and without help, on one world each."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agents.findings.proposer import Proposer
from agents.settings import ClaudeConfig
from benchmarks.agent.colleagues.asked import Asked, Setting
from benchmarks.agent.colleagues.fates import Fate, fates
from benchmarks.agent.colleagues.naming import COLLEAGUES, Colleague, Order
from benchmarks.agent.colleagues.scripts import Habits
from benchmarks.agent.colleagues.spanning import Spanning
from benchmarks.table.campaign import WORKERS, Campaign, Plan
from benchmarks.table.judging import judged
from benchmarks.table.world import Point, World
from search.engine.director import SearchFailedError

SHARES = (0.1, 0.3, 0.8)
PATIENCE = 12  # proposals in a row without rows that end a search: a table has few rows of most branches
LANES, BRANCHES = 3, 4  # as agent.lanes and agent.branches
SKILL = 0.7  # as that of the informed colleague
ACCURACIES = (0.5, 0.9, 1.0)  # of a critic, whose verdict at 0.5 is a coin's


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a campaign came to: its winner's test PGR and regret; draws, and those that were named.

    branches: what became of each that a script proposed. stand_ins: rounds in which the playbook proposed.
    """

    pgr: float
    regret: float
    named: int
    draws: int
    branches: tuple[Fate, ...] = ()
    stand_ins: int = 0


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A way to run a campaign. make: its proposer in a world, with a seed. against: the arm to compare with.

    share: of the draws that the proposer may name.
    """

    make: Callable[[World, int], Proposer]
    share: float = 0.0
    against: str | None = None


def _alone(world: World, seed: int) -> Proposer:
    return Spanning(world, seed)


def _helped(order: Order, world: World, seed: int) -> Proposer:
    return Colleague(Spanning(world, seed), world, order, seed)


def _asked(setting: Setting, world: World, seed: int) -> Proposer:
    return Asked(world, seed, setting)


def suggesting() -> dict[str, Arm]:
    """The search alone, and with each colleague at each share."""
    helped = {
        f"{name} {share:g}": Arm(make=partial(_helped, order), share=share, against="alone")
        for name, order in COLLEAGUES.items()
        for share in SHARES
    }
    return {"alone": Arm(make=_alone)} | helped


def _arm(against: str | None = None, **setting: Any) -> Arm:
    return Arm(make=partial(_asked, Setting(**setting)), against=against)


def in_lanes() -> dict[str, Arm]:
    """Lanes of the same skill against one of them: of four branches each, or of one each."""
    alike, guess = Habits(alike=True), Habits(skills=(0.0,))
    return {
        "one lane": _arm(),
        "wide lane": _arm("one lane", branches=LANES * BRANCHES),
        "three lanes": _arm("one lane", lanes=LANES),
        "narrow lanes": _arm("one lane", lanes=BRANCHES, branches=1),
        "three alike": _arm("one lane", lanes=LANES, habits=alike),
        "alike without board": _arm("three alike", lanes=LANES, habits=alike, board=False),
        "guessing": _arm("one lane", habits=guess),
        "three guessing": _arm("guessing", lanes=LANES, habits=guess),
    }


def criticised() -> dict[str, Arm]:
    """A lane half of whose branches are faulty: without a critic, without checks, and with critics."""
    careless = Habits(faulty=0.5)
    of_faults = {
        f"critic {accuracy:g}": _arm("careless", habits=careless, accuracy=accuracy)
        for accuracy in ACCURACIES
    }
    return {
        "careless": _arm(habits=careless),
        "no board": _arm("careless", habits=careless, board=False),
        **of_faults,
        "critic 0.9 drops": _arm("careless", habits=careless, accuracy=0.9, refused="drop"),
        "judge 0.9": _arm("careless", habits=careless, accuracy=0.9, asks="worth"),
    }


def by_round() -> dict[str, Arm]:
    """A skilled lane in every round, in none, in the first alone, and in all others."""
    return {
        "one lane": _arm(),
        "guessing": _arm("one lane", habits=Habits(skills=(0.0,))),
        "skilled first": _arm("guessing", habits=Habits(skills=(SKILL, 0.0))),
        "skilled later": _arm("guessing", habits=Habits(skills=(0.0, SKILL))),
    }


PARTS: Mapping[str, Callable[[], dict[str, Arm]]] = {
    "suggestions": suggesting,
    "lanes": in_lanes,
    "critic": criticised,
    "effort": by_round,
}


def campaign(world: World, seed: int, budget: float, arm: Arm) -> Outcome:
    """One campaign of an arm. budget: in mean trainings, over both workers."""
    config = Plan().config(world, seed, budget)
    config = config.model_copy(update={"agent": ClaudeConfig(suggestions=arm.share)})
    proposer = arm.make(world, seed)
    with tempfile.TemporaryDirectory() as folder:
        run = Campaign(world, config, proposer, Path(folder), patience=PATIENCE)
        try:
            winner = run.run(budget * world.unit_s / WORKERS)
        except SearchFailedError:
            winner = None
    naive = Point(0, len(world.table.settings.rungs) - 1)
    pgr, regret, _ = judged(world, winner or naive)
    record = run.record
    asked = isinstance(proposer, Asked)
    return Outcome(
        pgr=pgr,
        regret=regret,
        named=record.agent_draws,
        draws=record.tally("search").started,
        branches=fates(proposer, world, record) if asked else (),
        stand_ins=proposer.stand_ins if asked else 0,
    )
