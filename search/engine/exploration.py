"""What the search trains next: a new method of a branch, or a paused trial. Without Ray."""

import logging
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from search.config.load import changed
from search.config.schema import RunConfig
from search.engine.advice.beliefs import SearchBeliefs
from search.engine.advice.queue import NamedQueue, may_name
from search.engine.compared.transfer import prices_of
from search.engine.scores import TrialScores, earlier_scores
from search.ledger.events import (
    AnyEvent,
    DrawsNamed,
    Proposed,
    Reached,
    RungReached,
    TaskReached,
    TrialEnded,
    TrialPaused,
    TrialStarted,
    new_branches,
)
from search.ledger.record import Record
from search.ledger.steered import Steered
from search.ledger.trial_record import TrialRecord
from search.policy.allocation import BranchState, offering_branches
from search.policy.encoding import encode, stop_column
from search.policy.ladder import Ladder
from search.policy.observations import Scoreboard
from search.policy.paused_trials import PausedTrial, PausedTrials
from search.policy.promotion import Candidates, Promotion, task_codes
from search.policy.training_budget import Budget
from search.policy.training_seconds import Step
from search.studies.branch_sampler import BranchSampler
from search.studies.sampler import Draw
from trainers.method import Method

log = logging.getLogger(__name__)


class Exploration:
    """Decides what a free worker trains next in the search; learns of trials from the ledger's events alone.

    With several branches, the best of each branch's first trials is trained to the end early, as far as the
    budget allows: methods of different branches learn at different speeds. A single branch needs no
    comparison. A call costs the same for any number of trials. used_up: branches without new methods.

    With several tasks a trial trains to a rung on one task after another, new methods beginning with
    different ones; between two tasks it pauses as it does between two rungs, so which method learns which
    task next is one decision with which method trains on.
    """

    def __init__(self, config: RunConfig, record: Record, sampler: Callable[[str], BranchSampler]) -> None:
        """record: must apply each event before this object, and holds what earlier runs scored by now.

        sampler: finds a branch's by its name.
        """
        search = config.search
        self.used_up: set[str] = set()
        self._config = config
        self._record = record
        self._sampler = sampler
        self._rungs = search.pruning.rungs
        self._seconds, self._ladders = prices_of(config)
        self._places = self._ladders.places
        tasks, earlier = len(self._places), record.earlier.with_scores if record.earlier else ()
        codes = task_codes(tasks + len(earlier))
        own = codes[:tasks]
        rules = search.promotion.of_trials(search.trials)
        self._promotion = Promotion(rules, rungs=self._rungs, column=stop_column(), codes=own)
        self._scores = Scoreboard(tasks, earlier_scores(earlier, codes[tasks:], self._rungs))
        self._trial_scores = TrialScores(self._scores, record, self._places, own, search.objective)
        self._paused = PausedTrials(search.promotion.waiting)
        self._budget = Budget(self._seconds, **config.search.limits)
        self._branches: dict[str, BranchState] = {}
        self._best_method: dict[str, Method] = {}  # of each branch
        self._tried = {config.naive.plainest.digest}
        self._named = NamedQueue()
        self._in_flight: dict[str, int] = {}  # trials that have not ended, with the last place started to
        self._last: dict[str, float] = {}  # of these trials, the score where they last were

    @property
    def started(self) -> int:
        """Trials started so far."""
        return self._budget.started

    @property
    def new_left(self) -> int:
        """Trials that may still be started."""
        return self._budget.new_left

    @property
    def spent(self) -> float:
        """The share of the training budget that has been given out, 0 before the first trial."""
        total = self._budget.total_s
        return self._budget.spent_s / total if total else 0.0

    def first_step(self, method: Method) -> tuple[float, str]:
        """The share of its training at which a new method is first judged, and the task it begins with."""
        return self._places.at(self._ladders.of(method, self._first).after(-1), self._first)

    def next_step(self, trial: TrialRecord) -> tuple[float, str]:
        """The share and the task that a trial is judged at after the place that it has reached."""
        ladder = self._ladders.of(trial.method, trial.first_on)
        return self._places.at(ladder.after(self._in_flight[trial.trial]), trial.first_on)

    @property
    def _first(self) -> str:
        """The task that the next new method begins with."""
        return self._places.tasks[self.started % len(self._places)]

    # What has happened

    def apply(self, event: AnyEvent) -> None:
        """Apply an event, live or replayed, in the ledger's order."""
        match event:
            case Proposed() | Steered():
                for branch in new_branches(event):
                    self._branches[branch.name] = BranchState(name=branch.name)
                if isinstance(event, Steered):
                    self.used_up.update(event.stop)
                    self._go_by(changed(self._config, event.settings))
            case DrawsNamed():
                for named in event.draws:
                    self._named.add(named)
            case TrialStarted(purpose="search"):
                self._started(event)
            case TaskReached() if (trial := self._search_trial(event.trial)) and event.pgr is not None:
                self._scored(trial, event, event.task)
            case RungReached() if (trial := self._search_trial(event.trial)) and event.pgr is not None:
                if not trial.on_tasks:
                    self._scored(trial, event, "")
                self._add_to_branch(trial, event.pgr)
            case TrialPaused() if trial := self._search_trial(event.trial):
                self._pause(trial)
            case TrialEnded() if trial := self._search_trial(event.trial):
                self._ended(trial, event)
            case _:
                pass

    def _go_by(self, config: RunConfig) -> None:
        self._config = config
        self._budget.limit(**config.search.limits)

    def _search_trial(self, name: str) -> TrialRecord | None:
        """The trial with this name if it is a search trial that has not ended."""
        return self._record.trials[name] if name in self._in_flight else None

    def _started(self, event: TrialStarted) -> None:
        trial = self._record.trials[event.trial]
        place = self._places.of(event.share, event.on, trial.first_on)
        if event.trial in self._paused:
            self._paused.remove(event.trial)
        if place <= self._in_flight.get(event.trial, -1):
            return  # restarted in another worker: this step has been counted
        branch = self._branches[event.branch]
        if event.trial not in self._in_flight:
            self._budget.start(self._ladders.of(event.method, trial.first_on))
            branch.started += 1
            self._tried.add(event.method.plainest.digest)
            self._named.started(event.method.plainest.digest)
        self._in_flight[event.trial] = place
        branch.reached_or_in_flight[place] += 1
        self._budget.give(event.trial, self._step_to(trial, event.share, event.on))

    def _step_to(self, trial: TrialRecord, share: float, task: str) -> Step:
        """The part of a trial's training on a task from the rung before up to a share."""
        reached = [at for at, on in trial.on_tasks if on == task] if task else list(trial.rungs)
        return Step(
            method=trial.method,
            start=max((rung for rung in reached if rung < share), default=0.0),
            end=share,
            task=self._places.index(task),
        )

    def _scored(self, trial: TrialRecord, reached: Reached, task: str) -> None:
        first = trial.trial not in self._last
        step, seconds = self._step_to(trial, reached.share, task), reached.seconds
        if seconds > 0:
            self._seconds.observe(step, seconds, shared_s=reached.shared_s)
        self._budget.end(trial.trial, seconds, shared_s=reached.shared_s)
        self._last[trial.trial] = self._trial_scores.add(trial, reached, task, first=first)
        branch = self._branches[trial.branch]
        branch.seconds += seconds
        branch.returned += first

    def _add_to_branch(self, trial: TrialRecord, pgr: float) -> None:
        """Count a score over all tasks for its branch."""
        if self._branches[trial.branch].add_score(pgr):
            self._best_method[trial.branch] = trial.method

    def _pause(self, trial: TrialRecord) -> None:
        self._paused.add(
            PausedTrial(
                trial=trial.trial,
                branch=trial.branch,
                point=encode(trial.method),
                place=self._in_flight[trial.trial],
                value=self._last[trial.trial],
            )
        )

    def _ended(self, trial: TrialRecord, event: TrialEnded) -> None:
        place = self._in_flight.pop(trial.trial)
        had_scored = self._last.pop(trial.trial, None) is not None
        if trial.trial in self._paused:
            self._paused.remove(trial.trial)
        if event.state == "failed":
            if event.judged:
                self._trial_scores.add_failure(trial)
            branch = self._branches[trial.branch]
            branch.returned += not had_scored
            branch.failed += had_scored and event.judged
            branch.reached_or_in_flight[place] -= 1
            self._budget.end(trial.trial, None)

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

        None if there is no new method and the budget allows no paused trial to go on, or only one that takes
        its branch beyond its share: such a trial goes on where it promises more than a new method.
        Where a new method is due, the agent's next draw takes its place, as long as `agent.suggestions`
        allows.

        more_to_come: whether another proposal may bring new methods. max_started: trials that may have been
        started by now.
        """
        if step := self._unproven_trial():
            return step
        draws, paused = self._draws(max_started), list[PausedTrial]()
        floor = self._config.search.allocation.floor
        if not draws or self._branches[draws[0].branch].started >= floor:
            paused = self._affordable(self._paused, more_to_come=bool(draws) or more_to_come)
        if not draws:
            paused = self._within_share(paused)
        if not draws and not paused:
            return None
        chosen = self._promotion.choose(self._scores, self._candidates(paused, draws), self._rng())
        if chosen >= len(paused):
            return self._named_draw() or draws[chosen - len(paused)]
        return self._record.trials[paused[chosen].trial]

    def _named_draw(self) -> Draw | None:
        """The agent's next draw, if its share of the draws allows one and the budget a training of it."""
        if not may_name(self._config.suggestions, named=self._record.agent_draws, started=self.started):
            return None
        for named in self._named.ready(self.used_up):
            draw = self._sampler(named.branch).named(named.method)
            if draw and draw.method.plainest.digest not in self._tried and self._startable([draw]):
                return draw
        return None

    def beliefs(self) -> SearchBeliefs | None:
        """What the surrogate believes now; None while it has too few scores."""
        outlook = self._promotion.outlook(self._scores, self._rng())
        if outlook is None:
            return None
        return SearchBeliefs(self._config, outlook, frozenset(self._tried), self.started)

    @property
    def named_waiting(self) -> int:
        """Draws that the agent named and that may still start."""
        return sum(1 for _ in self._named.ready(self.used_up))

    def _candidates(self, paused: Sequence[PausedTrial], draws: Sequence[Draw]) -> Candidates:
        """First the paused trials, then the new methods."""
        prices, rungs = self._seconds.costs, len(self._rungs)
        costs = [self._ladder(trial).seconds(prices, rungs, after=trial.place) for trial in paused]
        costs += [self._ladder(draw).seconds(prices, rungs) for draw in draws]
        points = np.stack([*(trial.point for trial in paused), *(draw.point for draw in draws)])
        places = np.array([*(trial.place for trial in paused), *(-1 for _ in draws)])
        return Candidates(
            points=points, costs=np.array(costs), places=places if len(self._places) > 1 else None
        )

    def _ladder(self, candidate: Draw | PausedTrial) -> Ladder:
        """The ladder of a new method or of a paused trial."""
        if isinstance(candidate, Draw):
            return self._ladders.of(candidate.method, self._first)
        trial = self._record.trials[candidate.trial]
        return self._ladders.of(trial.method, trial.first_on)

    def _affordable(self, paused: Iterable[PausedTrial], *, more_to_come: bool) -> list[PausedTrial]:
        """Those of some paused trials whose next step is within the budget."""
        trials = list(paused)
        costs = self._seconds.costs
        steps = np.array([self._ladder(trial).next_s(costs, trial.place) for trial in trials])
        affordable = self._budget.affordable(steps, more_to_come=more_to_come)
        return [trial for trial, allowed in zip(trials, affordable, strict=True) if allowed]

    def _unproven_trial(self) -> TrialRecord | None:
        """A paused trial to resume because no trial of its branch has got further, within the budget."""
        if len(self._branches) == 1:
            return None
        floor = self._config.search.allocation.floor
        unproven = [
            trial
            for trial in self._paused
            if self._branches[trial.branch].is_unproven(self._ladder(trial).after(trial.place), floor)
        ]
        due = self._within_share(self._affordable(unproven, more_to_come=True))
        if not due:
            return None
        same_branch = [trial for trial in due if trial.branch == due[0].branch]
        return self._record.trials[max(same_branch, key=lambda trial: trial.value).trial]

    def _within_share(self, paused: Sequence[PausedTrial]) -> list[PausedTrial]:
        """Those that take no more than two mean trainings to their end, or what is left of a branch's share.

        One at a time of a branch. A few fine-tunings among hundreds of probes would otherwise take most of
        the budget.
        """
        share_s = self._budget.total_s / min(len(self._branches), self._config.search.allocation.offering)
        busy = {trial.branch for trial in self._record.running.values()}
        costs, rungs = self._seconds.costs, len(self._rungs)

        def fits(one: PausedTrial) -> bool:
            left_s = self._ladder(one).seconds(costs, rungs, after=one.place)[-1]
            if left_s <= 2 * self._budget.training_s:
                return True
            return one.branch not in busy and self._branches[one.branch].seconds + left_s <= share_s

        return [one for one in paused if fits(one)]

    def _draws(self, max_started: int) -> Sequence[Draw]:
        while self.new_left and self.started < max_started:
            live = [state for name, state in self._branches.items() if name not in self.used_up]
            names = offering_branches(self._config.search.allocation, live) if live else []
            draws = [draw for name in names for draw in self._offer(name, len(names))]
            if draws or not names:
                return self._startable(draws)
        return []

    def _startable(self, draws: Sequence[Draw]) -> Sequence[Draw]:
        longest = self._budget.longest_start_s
        if longest == math.inf:
            return draws
        costs = self._seconds.costs
        return [draw for draw in draws if self._ladder(draw).next_s(costs, -1) <= longest]

    def _offer(self, branch: str, branches: int) -> Sequence[Draw]:
        count = max(1, self._config.search.promotion.draws // branches)
        draws = self._sampler(branch).offer(count, self._tried, self._best_method.get(branch))
        if not draws:
            log.info("branch %s is used up: its sampler drew no new method", branch)
            self.used_up.add(branch)
        return draws

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng([self._config.seed, self.started, len(self._scores)])
