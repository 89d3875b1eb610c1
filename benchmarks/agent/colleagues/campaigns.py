"""Paired campaigns with and without help, on one world each."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agents.findings.proposer import Proposer
from agents.settings import ClaudeConfig
from benchmarks.agent.colleagues.critics import Careless, Criticised
from benchmarks.agent.colleagues.lanes import Lanes
from benchmarks.agent.colleagues.naming import COLLEAGUES, Colleague, Order
from benchmarks.agent.colleagues.spanning import Spanning
from benchmarks.table.campaign import WORKERS, Campaign, Plan
from benchmarks.table.judging import judged
from benchmarks.table.world import Point, World
from search.engine.director import SearchFailedError

SHARES = (0.1, 0.3, 0.8)
LANES = (1, 2, 3)
PATIENCE = 12  # proposals in a row without rows that end a search: a table has few rows of most branches
ACCURACIES = (0.5, 0.7, 0.9, 1.0)  # of a critic, whose verdict at 0.5 is a coin's


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a campaign came to: its winner's test PGR and regret; draws, and those that were named."""

    pgr: float
    regret: float
    named: int
    draws: int


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


def _in_lanes(count: int, world: World, seed: int) -> Proposer:
    return Lanes(world, seed, count)


def _with_critic(accuracy: float, world: World, seed: int) -> Proposer:
    return Criticised(Careless(world, seed), world, accuracy, seed)


def suggesting() -> dict[str, Arm]:
    """The search alone, and with each colleague at each share."""
    helped = {
        f"{name} {share:g}": Arm(make=partial(_helped, order), share=share, against="alone")
        for name, order in COLLEAGUES.items()
        for share in SHARES
    }
    return {"alone": Arm(make=_alone)} | helped


def in_lanes() -> dict[str, Arm]:
    """One, two and three lanes."""
    first = f"lanes {LANES[0]}"
    return {
        f"lanes {count}": Arm(make=partial(_in_lanes, count), against=first if count > LANES[0] else None)
        for count in LANES
    }


def criticised() -> dict[str, Arm]:
    """A careless proposer without a critic, and with critics of each accuracy."""
    without = "careless"
    return {without: Arm(make=Careless)} | {
        f"critic {accuracy:g}": Arm(make=partial(_with_critic, accuracy), against=without)
        for accuracy in ACCURACIES
    }


PARTS: Mapping[str, Callable[[], dict[str, Arm]]] = {
    "suggestions": suggesting,
    "lanes": in_lanes,
    "critic": criticised,
}


def campaign(world: World, seed: int, budget: float, arm: Arm) -> Outcome:
    """One campaign of an arm. budget: in mean trainings, over both workers."""
    config = Plan().config(world, seed, budget)
    config = config.model_copy(update={"agent": ClaudeConfig(suggestions=arm.share)})
    with tempfile.TemporaryDirectory() as folder:
        run = Campaign(world, config, arm.make(world, seed), Path(folder), patience=PATIENCE)
        try:
            winner = run.run(budget * world.unit_s / WORKERS)
        except SearchFailedError:
            winner = None
    naive = Point(0, len(world.table.settings.rungs) - 1)
    pgr, regret, _ = judged(world, winner or naive)
    record = run.record
    return Outcome(pgr=pgr, regret=regret, named=record.agent_draws, draws=record.tally("search").started)
