"""What the search trains next: a new method of a branch, or a paused trial. Without Ray."""

import logging
from collections.abc import Callable, Sequence

import numpy as np

from search.config.schema import RunConfig
from search.ledger.events import (
    AnyEvent,
    Proposed,
    RungReached,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from search.ledger.record import Record, TrialRecord
from search.policy.allocation import BranchState, offering_branches
from search.policy.encoding import encode
from search.policy.observations import Scoreboard
from search.policy.paused_trials import PausedTrial, PausedTrials
from search.policy.promotion import Promotion, candidates
from search.policy.training_budget import Budget
from search.studies.branch_sampler import BranchSampler
from search.studies.sampler import Draw
from trainers.method import Method

log = logging.getLogger(__name__)


class Exploration:
    """Decides what a free worker trains next in the search; learns of trials from the ledger's events alone.

    With several branches, the best of each branch's first trials is trained to the end early, as far as the
    budget allows: methods of different branches learn at different speeds, so scores at lower rungs do not
    compare across branches. A single branch needs no comparison.
    A call costs the same for any number of trials. used_up: branches without new methods.
    """

    def __init__(self, config: RunConfig, record: Record, sampler: Callable[[str], BranchSampler]) -> None:
        """record: must apply each event before this object. sampler: finds a branch's by its name."""
        search = config.search
        self.used_up: set[str] = set()
        self._config = config
        self._record = record
        self._sampler = sampler
        self._rungs = search.pruning.rungs
        self._promotion = Promotion(search.promotion, rungs=len(self._rungs))
        self._scores = Scoreboard()
        self._paused = PausedTrials(search.promotion.waiting)
        self._budget = Budget(
            trials=search.trials,
            effort=search.effort,
            rungs=self._rungs,
            completions=max(config.replicated, config.confirm.finalists),
        )
        self._branches: dict[str, BranchState] = {}
        self._best_method: dict[str, Method] = {}  # of each branch, at its highest rung
        self._tried = {config.naive.digest}
        self._in_flight: dict[str, int] = {}  # trials that have not ended, with the highest rung started to
        self._last_pgr: dict[str, float] = {}  # of these trials, at the last rung reached

    @property
    def started(self) -> int:
        """Trials started so far."""
        return self._budget.started

    @property
    def trained(self) -> float:
        """Full trainings given out so far."""
        return self._budget.spent

    # What has happened

    def apply(self, event: AnyEvent) -> None:
        """Apply an event, live or replayed, in the ledger's order."""
        match event:
            case Proposed():
                for branch in event.proposal.branches:
                    self._branches[branch.name] = BranchState(name=branch.name)
            case TrialStarted(purpose="search"):
                self._started(event)
            case RungReached() if (trial := self._search_trial(event.trial)) and event.pgr is not None:
                self._scored(trial, self._rungs.index(event.share), event.pgr)
            case TrialPaused() if trial := self._search_trial(event.trial):
                self._pause(trial)
            case TrialEnded() if trial := self._search_trial(event.trial):
                self._ended(trial, event)
            case _:
                pass

    def _search_trial(self, name: str) -> TrialRecord | None:
        """The trial with this name if it is a search trial that has not ended."""
        return self._record.trials[name] if name in self._in_flight else None

    def _started(self, event: TrialStarted) -> None:
        rung = self._rungs.index(event.share)
        if event.trial in self._paused:
            self._paused.remove(event.trial)
        if rung <= self._in_flight.get(event.trial, -1):
            return  # restarted in another worker: this step has been counted
        self._in_flight[event.trial] = rung
        self._budget.spend(rung)
        branch = self._branches[event.branch]
        branch.reached_or_in_flight[rung] += 1
        if rung == 0:
            branch.started += 1
            self._tried.add(event.method.digest)

    def _scored(self, trial: TrialRecord, rung: int, pgr: float) -> None:
        self._last_pgr[trial.trial] = pgr
        self._scores.add(encode(trial.method), rung, pgr)
        branch = self._branches[trial.branch]
        branch.returned += rung == 0
        if branch.add_score(rung, pgr):
            self._best_method[trial.branch] = trial.method

    def _pause(self, trial: TrialRecord) -> None:
        self._paused.add(
            PausedTrial(
                trial=trial.trial,
                branch=trial.branch,
                point=encode(trial.method),
                rung=self._in_flight[trial.trial],
                value=self._last_pgr[trial.trial],
            )
        )

    def _ended(self, trial: TrialRecord, event: TrialEnded) -> None:
        rung = self._in_flight.pop(trial.trial)
        self._last_pgr.pop(trial.trial, None)
        if trial.trial in self._paused:
            self._paused.remove(trial.trial)
        if event.state == "failed":
            if event.judged:  # lowers the surrogate's predictions for similar methods
                self._scores.add(encode(trial.method), rung, np.nan)
            branch = self._branches[trial.branch]
            branch.returned += rung == 0
            branch.failed += rung > 0 and event.judged
            branch.reached_or_in_flight[rung] -= 1
            self._budget.failed(rung)

    def surplus(self) -> str | None:
        """The paused trial to end because its rung holds too many, or None."""
        surplus = self._paused.surplus()
        return surplus.trial if surplus else None

    def paused(self) -> list[str]:
        """The paused trials."""
        return [paused.trial for paused in self._paused]

    # What comes next

    def next(self, *, more_to_come: bool, max_started: int) -> Draw | TrialRecord | None:
        """A new method or a paused trial to train to its next rung.

        None if there is no new method and the budget allows no paused trial to go on.

        more_to_come: whether another proposal may bring new methods. max_started: trials that may have been
        started by now.
        """
        if step := self._unproven_trial():
            return step
        draws, paused = self._draws(max_started), list[PausedTrial]()
        floor = self._config.search.allocation.floor
        if not draws or self._branches[draws[0].branch].started >= floor:
            steps = [trial.rung + 1 for trial in self._paused]
            affordable = self._budget.affordable(steps, more_to_come=bool(draws) or more_to_come)
            paused = [trial for trial, allowed in zip(self._paused, affordable, strict=True) if allowed]
        if not draws and not paused:
            return None
        offered = candidates(paused, [draw.point for draw in draws], self._rungs)
        chosen = self._promotion.choose(self._scores, offered, self._rng())
        if chosen >= len(paused):
            return draws[chosen - len(paused)]
        return self._record.trials[paused[chosen].trial]

    def _unproven_trial(self) -> TrialRecord | None:
        """A paused trial to resume because no trial of its branch has got further, within the budget."""
        if len(self._branches) == 1:
            return None
        floor, rungs = self._config.search.allocation.floor, len(self._rungs)
        affordable = self._budget.affordable(range(rungs), more_to_come=True)
        due = [
            trial
            for trial in self._paused
            if affordable[trial.rung + 1]
            and self._branches[trial.branch].unproven_rung(floor, rungs) == trial.rung + 1
        ]
        if not due:
            return None
        same_branch = [trial for trial in due if trial.branch == due[0].branch]
        return self._record.trials[max(same_branch, key=lambda trial: trial.value).trial]

    def _draws(self, max_started: int) -> list[Draw]:
        while self._budget.new_left and self.started < max_started:
            live = [state for name, state in self._branches.items() if name not in self.used_up]
            names = offering_branches(self._config.search.allocation, live) if live else []
            draws = [draw for name in names for draw in self._offer(name, len(names))]
            if draws or not names:
                return draws
        return []

    def _offer(self, branch: str, branches: int) -> Sequence[Draw]:
        count = max(1, self._config.search.promotion.draws // branches)
        draws = self._sampler(branch).offer(count, self._tried, self._best_method.get(branch))
        if not draws:
            log.info("branch %s is used up: its sampler drew no new method", branch)
            self.used_up.add(branch)
        return draws

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng([self._config.seed, self.started, len(self._scores)])
