"""What the search trains next: a draw of a branch, or a trial that waits. Knows no ledger and no Ray."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search.config.schema import RunConfig
from search.ledger.record import TrialRecord
from search.policy.allocation import BranchState, offering
from search.policy.encoding import encode
from search.policy.observations import Scoreboard
from search.policy.paused_trials import Waiter, WaitingRoom
from search.policy.promotion import Promotion, candidates
from search.policy.training_budget import Budget
from search.studies.branch_sampler import BranchSampler, Draw
from trainers.method import Method

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class NewTrial:
    """A draw is worth a trial."""

    branch: str
    draw: Draw


@dataclass(frozen=True, kw_only=True)
class Promoted:
    """A trial that waits goes on to the rung with this index."""

    trial: str
    rung: int


class Exploration:
    """Keeps what promotion, allocation and the budget need to know, a step at each event.

    Of several branches each proves itself early: the best of its first trials is trained to the end, as far
    as the budget allows. Until then its scores say little beside those of another: kinds of method rise, and
    fall, at their own pace. A single branch has nobody to prove itself to.
    A call costs the same however many trials there have been. used_up: branches without new methods.
    """

    def __init__(self, config: RunConfig, sampler: Callable[[str], BranchSampler]) -> None:
        search = config.search
        self.used_up: set[str] = set()
        self._config = config
        self._sampler = sampler
        self._rungs = search.pruning.rungs
        self._promotion = Promotion(search.promotion, rungs=len(self._rungs))
        self._scores = Scoreboard()
        self._waiting = WaitingRoom(search.promotion.waiting)
        self._budget = Budget(
            trials=search.trials,
            effort=search.effort,
            rungs=self._rungs,
            completions=max(config.replicated, config.confirm.finalists),
        )
        self._branches: dict[str, BranchState] = {}
        self._good: dict[str, Method] = {}  # of each branch that with the best PGR at its highest rung
        self._tried = {config.naive.digest}

    @property
    def started(self) -> int:
        """Trials started so far."""
        return self._budget.started

    @property
    def trained(self) -> float:
        """Full trainings given out so far."""
        return self._budget.spent

    # What has happened

    def opened(self, branch: str) -> None:
        """A branch joins."""
        self._branches[branch] = BranchState(name=branch)

    def went(self, trial: TrialRecord, rung: int) -> None:
        """A trial was given to a worker, to train to the rung with this index."""
        self._budget.spend(rung)
        branch = self._branches[trial.branch]
        branch.heading[rung] += 1
        if rung == 0:
            branch.started += 1
            self._tried.add(trial.method.digest)

    def scored(self, trial: TrialRecord, rung: int, pgr: float) -> None:
        """A trial reached a rung."""
        self._scores.add(encode(trial.method), rung, pgr)
        branch = self._branches[trial.branch]
        branch.back += rung == 0
        if branch.shows(rung, pgr):
            self._good[trial.branch] = trial.method

    def failed(self, trial: TrialRecord, rung: int) -> None:
        """A trial failed on its way to a rung: nothing near it looks good any more."""
        self._scores.add(encode(trial.method), rung, np.nan)
        branch = self._branches[trial.branch]
        branch.back += rung == 0
        branch.failed += rung > 0
        branch.heading[rung] -= 1
        self._budget.failed(rung)

    def paused(self, trial: TrialRecord, rung: int, pgr: float) -> str | None:
        """A trial waits at a rung; returns one that has to give up its place there."""
        waiter = Waiter(
            trial=trial.trial, branch=trial.branch, point=encode(trial.method), rung=rung, value=pgr
        )
        evicted = self._waiting.enter(waiter)
        return evicted.trial if evicted else None

    def all_waiting(self) -> list[str]:
        """The trials that wait."""
        return [waiter.trial for waiter in self._waiting]

    # What comes next

    def next(self, *, more_to_come: bool, new_at_most: int) -> NewTrial | Promoted | None:
        """What a free worker trains; None while there is no new method and nothing that the budget allows.

        more_to_come: whether another proposal may still bring new methods. new_at_most: trials that may have
        been started by now.
        """
        if step := self._proof():
            return step
        draws, waiting = self._draws(new_at_most), list[Waiter]()
        floor = self._config.search.allocation.floor
        if not draws or self._branches[draws[0].branch].started >= floor:
            steps = [waiter.rung + 1 for waiter in self._waiting]
            may = self._budget.affordable(steps, more_to_come=bool(draws) or more_to_come)
            waiting = [waiter for waiter, one in zip(self._waiting, may, strict=True) if one]
        if not draws and not waiting:
            return None
        offered = candidates(waiting, [one.draw.point for one in draws], self._rungs)
        place = self._promotion.choose(self._scores, offered, self._dice())
        if place >= len(waiting):
            return draws[place - len(waiting)]
        return self._promoted(waiting[place])

    def _proof(self) -> Promoted | None:
        """The next step of a branch that none of its trials has shown the end of, within the budget."""
        if len(self._branches) == 1:
            return None
        floor, rungs = self._config.search.allocation.floor, len(self._rungs)
        may = self._budget.affordable(range(rungs), more_to_come=True)
        due = [
            one
            for one in self._waiting
            if may[one.rung + 1] and self._branches[one.branch].unproven(floor, rungs) == one.rung + 1
        ]
        if not due:
            return None
        return self._promoted(
            max((one for one in due if one.branch == due[0].branch), key=lambda one: one.value)
        )

    def _promoted(self, waiter: Waiter) -> Promoted:
        self._waiting.leave(waiter)
        return Promoted(trial=waiter.trial, rung=waiter.rung + 1)

    def _draws(self, new_at_most: int) -> list[NewTrial]:
        while self._budget.new_left and self.started < new_at_most:
            live = [state for name, state in self._branches.items() if name not in self.used_up]
            names = offering(self._config.search.allocation, live) if live else []
            draws = [one for name in names for one in self._offer(name, len(names))]
            if draws or not names:
                return draws
        return []

    def _offer(self, branch: str, beside: int) -> list[NewTrial]:
        count = max(1, self._config.search.promotion.draws // beside)
        draws = self._sampler(branch).offer(count, self._tried, self._good.get(branch))
        if not draws:
            log.info("branch %s is used up: it has shown no new method", branch)
            self.used_up.add(branch)
        return [NewTrial(branch=branch, draw=draw) for draw in draws]

    def _dice(self) -> np.random.Generator:
        return np.random.default_rng([self._config.seed, self.started, len(self._scores)])
