"""Ours: a whole campaign in virtual time, by the director and all that it decides with in production.

The director, its rounds, studies, promotion, judging, replication and choice of finalists are those of a run.
Two things differ. Workers look up what a trial predicted and how long it took. And a method that a branch's
sampler draws becomes the nearest row of the table that has the same components, by the surrogate's own
distance: so a branch offers rows, whoever proposed it, and an optimum between rows is not there to be found.
"""

import heapq
import itertools
import tempfile
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from agents.advice.adviser import Adviser
from agents.advice.beliefs import Beliefs
from agents.advice.suggestions import Advice
from agents.findings.findings import Findings
from agents.findings.predictions import pack
from agents.findings.proposer import Proposer
from agents.findings.round_proposal import RoundProposal
from agents.language.proposal import Branch, Proposal
from agents.language.space import sample_methods
from agents.playbook.playbook import Playbook
from benchmarks.table.settings import campaign_config
from benchmarks.table.within import within
from benchmarks.table.world import Point, World
from search.config.schema import RunConfig
from search.config.search import SearchConfig
from search.config.seeds import ReplicationConfig
from search.engine.assignment import Assignment
from search.engine.confirmation import choose_finalists
from search.engine.context import RunContext
from search.engine.director import Director, SearchFailedError
from search.engine.replication import kind_of
from search.ledger.events import RungReached
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.policy.encoding import encode
from search.policy.pruning import PruningConfig
from search.preflight.earlier import EarlierRun, with_best
from search.preflight.earlier_scores import earlier_scored
from search.scoring.pgr import Reals
from search.studies.branch_sampler import BranchSampler
from search.studies.sampler import Draw
from trainers.method import Method

WORKERS = 2
ASKS = 2  # of a free worker, at the same time
ROUNDS = 50  # while nothing is trained: a proposal may have come, whose branches are used up
BRANCHES = 4  # of a random proposer's round


class Rows:
    """The rows of a world, and which of them is nearest to a method."""

    def __init__(self, world: World) -> None:
        self._methods = [world.table.rows[row].method for row in world.rows]
        self._plain = [method.plainest.digest for method in self._methods]
        self._points = np.stack([encode(method) for method in self._methods])
        self._of_kind: dict[tuple[str, ...], list[int]] = {}
        for place, method in enumerate(self._methods):
            self._of_kind.setdefault(kind_of(method), []).append(place)

    def nearest(self, draw: Draw, known: Container[str]) -> Draw | None:
        """The draw of the nearest row with the same components that is not known; None if there is none."""
        unknown = self._unknown(draw.method, known)
        if not unknown:
            return None
        place = unknown[int(((self._points[unknown] - draw.point) ** 2).sum(axis=1).argmin())]
        return replace(draw, method=self._methods[place], point=self._points[place])

    def _unknown(self, method: Method, known: Container[str]) -> list[int]:
        of_kind = self._of_kind.get(kind_of(method), ())
        return [place for place in of_kind if self._plain[place] not in known]

    def point(self, method: Method) -> Reals:
        """A row's place among methods."""
        return self._points[self._methods.index(method)]

    def open_in(self, branch: Branch, known: Container[str], naive: Method) -> list[Method]:
        """The rows with the components of a branch that are not known."""
        return [
            method
            for method, plain in zip(self._methods, self._plain, strict=True)
            if plain not in known and within(branch, method, naive) is not None
        ]

    def any_of(self, branch: Branch, findings: Findings) -> bool:
        """Whether a row with the components of a branch has not been tried."""
        tried = {trial.method.plainest.digest for trial in findings.trials} | {findings.naive.plainest.digest}
        return any(self._unknown(method, tried) for method in sample_methods(branch, findings.naive))


class RowSampler(BranchSampler):
    """Draws as in production; a drawn method becomes the nearest row that was not tried before."""

    def __init__(self, *given: Any, rows: Rows, **named: Any) -> None:
        super().__init__(*given, **named)
        self._rows = rows
        self._known: Container[str] = ()

    def offer(self, count: int, known: Container[str], near: Method | None) -> Sequence[Draw]:
        """See BranchSampler."""
        self._known = known
        return super().offer(count, known, near)

    def named(self, method: Method) -> Draw | None:
        """The draw of a row: Optuna is told of the branch's method that is nearest to it."""
        inside = within(self._branch, method, self._naive)
        draw = None if inside is None else super().named(inside)
        return None if draw is None else replace(draw, method=method, point=self._rows.point(method))

    def _drawn(self, near: Method | None) -> Draw | None:
        draw = super()._drawn(near)
        return None if draw is None else self._rows.nearest(draw, self._known)


class WithRows:
    """Passes on proposals as long as one of their branches has rows; a run never comes to such an end.

    patience: proposals in a row without rows that end the search.
    """

    def __init__(self, proposer: Proposer, rows: Rows, patience: int = 1) -> None:
        self._proposer = proposer
        self._rows = rows
        self._patience = patience
        self._without = 0

    def propose(self, findings: Findings) -> Proposal | RoundProposal:
        """The proposal, or one without branches, which ends the search."""
        proposal = self._proposer.propose(findings)
        assert isinstance(proposal, Proposal)
        has_rows = any(self._rows.any_of(branch, findings) for branch in proposal.branches)
        self._without = 0 if has_rows else self._without + 1
        if self._without < self._patience:
            return proposal
        return proposal.model_copy(update={"branches": ()})


class WithRowsAndAdvice(WithRows):
    """The same, of a proposer that names draws too."""

    def advise(self, findings: Findings, beliefs: Beliefs, most: int, request: int) -> Advice:
        """The draws that it names."""
        assert isinstance(self._proposer, Adviser)
        return self._proposer.advise(findings, beliefs, most, request)


class Chance:
    """Proposes the table's random branches, in an order of the campaign's own."""

    def __init__(self, branches: Sequence[Branch], seed: int) -> None:
        order = np.random.default_rng(seed).permutation(len(branches))
        self._left = [branches[place] for place in order]

    def propose(self, findings: Findings) -> Proposal:
        """The next branches."""
        chosen, self._left = self._left[:BRANCHES], self._left[BRANCHES:]
        return Proposal(branches=tuple(chosen), rationale="drawn at random")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a budget, in mean trainings, is spent.

    searched: the share that is searched with. replicated: as replication.effort; what is left is for workers
    that wait at the end of a stage. effort: as search.effort, the share of whole trainings that a method gets
    on average; it decides how many are tried. rounds: proposals. supervisors: as search.supervisors.
    """

    searched: float = 0.6
    replicated: float = 0.6
    effort: float = 0.25
    rounds: float = 3
    supervisors: Literal["shared", "alternate"] = "shared"

    def config(self, world: World, seed: int, budget: float) -> RunConfig:
        """The config of a campaign with this budget; a trial on several tasks is as many trainings."""
        trials = max(8, round(self.searched * budget / self.effort / len(world.tasks)))
        settings = world.table.settings
        return campaign_config(
            settings,
            seed=seed,
            search=SearchConfig(
                trials=trials,
                round_trials=max(4, round(trials / self.rounds)),
                supervisors=self.supervisors,
                objective=world.objective,
                max_hours=self.searched * budget * world.unit_s / 3600,
                pruning=PruningConfig(rungs=settings.rungs, min_steps=settings.min_steps),
            ),
            replication=ReplicationConfig(seeds=world.supervisors, effort=self.replicated),
            tasks=[name for name in world.tasks if name],
        )


def playbook(world: World, config: RunConfig) -> Proposer:
    """The proposer of a run without a key."""
    return Playbook(seed=config.seed)


def chance(world: World, config: RunConfig) -> Proposer:
    """A proposer of random spaces."""
    return Chance(world.table.chance, config.seed)


class Campaign:
    """A campaign in a world."""

    def __init__(
        self,
        world: World,
        config: RunConfig,
        proposer: Proposer,
        folder: Path,
        *,
        patience: int = 1,
        earlier: Sequence[EarlierRun] = (),
    ) -> None:
        """patience: see WithRows. earlier: campaigns with whose scores this one begins."""
        self._world = world
        self.config = config
        self.record = Record()
        ledger = Ledger(folder / "ledger.jsonl", self.record.apply)
        ledger.append(earlier_scored(earlier, config))
        ledger.append(world.baselines())
        context = RunContext(
            config=config,
            directory=folder,
            ledger=ledger,
            record=self.record,
            **vars(world.judged_by()),
        )
        rows = Rows(world)
        self._director = Director(
            context,
            (WithRowsAndAdvice if isinstance(proposer, Adviser) else WithRows)(proposer, rows, patience),
            [],
            make_sampler=partial(RowSampler, rows=rows),
            at_once=True,
        )

    def run(self, deadline_s: float) -> Point | None:
        """Run until the deadline, or until its finalists are to be confirmed; the first of them.

        None without a scored trial. A training that would end after the deadline is never heard of.
        """
        order, idle, training = itertools.count(), WORKERS, list[tuple[float, int, Assignment, Point]]()
        now, choosing = 0.0, False
        while not choosing:
            while idle and (assignment := self._next(asks=ASKS if training else ROUNDS)):
                if choosing := assignment.purpose == "confirm":
                    break
                point = self._point(assignment)
                seconds = now + self._seconds(assignment, point)
                heapq.heappush(training, (seconds, next(order), assignment, point))
                idle -= 1
            if choosing or not training or training[0][0] > deadline_s:
                break
            now, _, assignment, point = heapq.heappop(training)
            idle += 1
            self._report(assignment, point)
        self._director.close()
        finalists = choose_finalists(self.config, self.record)
        return self._world.points[finalists[0].method.digest] if finalists else None

    def _next(self, asks: int) -> Assignment | None:
        """The next assignment: a run's workers ask again soon, when a proposal may have come."""
        return next((found for _ in range(asks) if (found := self._director.next())), None)

    def _point(self, assignment: Assignment) -> Point:
        """Where an assignment leads to."""
        point, share = self._world.points[assignment.method.digest], assignment.rungs[-1]
        if assignment.purpose != "search":
            return point
        return Point(point.row, self._world.table.settings.rungs.index(share))

    def _seconds(self, assignment: Assignment, point: Point) -> float:
        """Of an assignment on all of its tasks."""
        return sum(self._seconds_on(assignment, point, on) for on in assignment.on)

    def _seconds_on(self, assignment: Assignment, point: Point, on: str) -> float:
        """On a task: of a search trial from its last rung there, of others from the start."""
        column = self._world.column(assignment.seed, self.config)
        row = self._world.points[assignment.method.digest].row
        trained: Reals = np.asarray(self._world.tasks[on].task.seconds[row, column], dtype=np.float64)
        trial, begins = self.record.trials.get(assignment.trial), 0
        if assignment.purpose == "search" and trial is not None:
            reached = [share for share, task in trial.on_tasks if task == on] if on else list(trial.rungs)
            if reached:
                begins = self._world.table.settings.rungs.index(max(reached)) + 1
        return float(np.nansum(trained[begins : point.rung + 1]))

    def _report(self, assignment: Assignment, point: Point) -> None:
        column = self._world.column(assignment.seed, self.config)
        seconds = {on: self._seconds_on(assignment, point, on) for on in assignment.on}
        for on in assignment.on:
            task = self._world.tasks[on].task
            if task.failed[point.row, column]:
                self._director.failed(assignment.trial, "it diverged")
                return
            self._director.report(
                RungReached(
                    trial=assignment.trial,
                    share=assignment.rungs[-1],
                    predictions=pack(task.predictions("search", point.row, column, point.rung)),
                    setup_s=0.0,
                    train_s=seconds[on],
                    eval_s=0.0,
                ),
                task=on,
            )


def ours(
    world: World,
    seed: int,
    budget: float,
    plan: Plan,
    make: Any = playbook,
    earlier: Sequence[EarlierRun] = (),
) -> Point | None:
    """The winner of a campaign with a budget, in mean trainings over both workers. earlier: see Campaign."""
    return _run(world, seed, budget, plan, make, earlier)[0]


def recorded(world: World, seed: int, budget: float, name: str) -> EarlierRun:
    """Such a campaign, for others to begin with its scores."""
    _, campaign = _run(world, seed, budget, Plan(), playbook, ())
    return EarlierRun(name=name, config=campaign.config, record=campaign.record)


def _run(
    world: World, seed: int, budget: float, plan: Plan, make: Any, earlier: Sequence[EarlierRun]
) -> tuple[Point | None, Campaign]:
    config = with_best(earlier, plan.config(world, seed, budget))
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(world, config, make(world, config), Path(folder), earlier=earlier)
        try:
            return campaign.run(budget * world.unit_s / WORKERS), campaign
        except SearchFailedError:
            return None, campaign
