"""When a run will have finished: predicted seconds of training that are left, by phase, and the pace."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Literal

from search.config.load import changed
from search.config.schema import RunConfig
from search.engine.compared.naive import planned_replicates
from search.engine.compared.transfer import prices_of
from search.engine.confirmation import planned_confirmation
from search.engine.replication import stage_budgets
from search.ledger.events import (
    AnyEvent,
    HiddenRead,
    Purpose,
    Reached,
    Resumed,
    RungReached,
    TaskReached,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from search.ledger.record import Record
from search.ledger.steered import Steered
from search.output.live_view.baselines import Baselines
from search.output.live_view.likely import likely_methods, offered
from search.output.live_view.remaining import likely_s, planned, search_left_s
from search.policy.training_budget import Budget
from search.policy.training_seconds import Step
from trainers.method import Method

LATELY = 16  # steps that show how fast the machine is now
WINDOW = 32  # steps that show how many seconds of training there are in one by the clock
Part = Purpose | Literal["baselines"]
PURPOSES: tuple[Purpose, ...] = ("search", "replicate", "confirm", "hidden")


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a worker is training: the steps that are left of it, one for each task. at: since when."""

    purpose: Purpose
    steps: tuple[Step, ...]
    at: float


class Forecast:
    """Learns from a ledger's events what steps take, as the search's budget does, and predicts the rest.

    A process that resumes a run, and one with a hidden task's workers, start their pace anew.
    """

    def __init__(self, config: RunConfig, record: Record) -> None:
        """record: must apply each event before this object does; it may be ahead."""
        self._known = False  # whether any step has shown what one takes
        self._config = config
        self._record = record
        self._tasks = tuple(config.searched)
        self.begin(Baselines(config))
        self._done = dict.fromkeys(PURPOSES, 0.0)
        self._given: dict[str, Given] = {}
        self._began: float | None = None  # when this process's first step began
        self._ends: deque[tuple[float, float]] = deque(maxlen=WINDOW + 1)  # of steps: when, and their seconds
        self._lately: deque[tuple[Step, float]] = deque(maxlen=LATELY)
        self._plans: dict[Purpose, tuple[int, list[tuple[Method, int]]]] = {}

    def apply(self, event: AnyEvent) -> None:
        """Take in an event, live or replayed, in the ledger's order."""
        match event:
            case TrialStarted():
                self._start(event)
            case TaskReached() if event.trial in self._given:
                self._reach(event, self._given[event.trial])
            case RungReached() if event.trial in self._given:
                if not self._record.trials[event.trial].on_tasks:
                    self._reach(event, self._given[event.trial])
                del self._given[event.trial]
            case TrialEnded() | TrialPaused():
                self._given.pop(event.trial, None)
            case Steered():
                self._config = changed(self._config, event.settings)
                self._budget.limit(**self._config.search.limits)
            case Resumed() | HiddenRead():
                self._given.clear()
                self._began = None
                self._ends.clear()
            case _:
                pass

    def begin(self, baselines: Baselines) -> None:
        """Take in what baselines have shown; before the first event, in place of an earlier call's.

        A ceiling is as much training as the naive baseline.
        """
        self._baselines = baselines
        self._seconds, self._ladders = prices_of(self._config)
        self._budget = Budget(self._seconds, **self._config.search.limits)
        for seconds, shared_s in baselines.ceilings_s:
            naive = Step(method=self._config.naive, start=0.0, end=1.0)
            self._seconds.observe(naive, seconds, shared_s=shared_s)
            self._known = True

    def _start(self, event: TrialStarted) -> None:
        trial = self._record.trials[event.trial]
        before = max((share for share in trial.rungs if share < event.share), default=0.0)
        if event.purpose == "search" and not before and trial.started_at == event.at:
            self._budget.start(self._ladders.of(event.method, trial.first_on))
        tasks = self._tasks if not event.on and not event.task else (event.on or self._tasks[0],)
        steps = tuple(
            Step(method=event.method, start=before, end=event.share, task=self._tasks.index(task))
            for task in tasks
        )
        self._given[event.trial] = Given(purpose=event.purpose, steps=steps, at=event.at)

    def _reach(self, event: Reached, given: Given) -> None:
        seconds, (step, *left) = event.seconds, given.steps
        charged = seconds + event.shared_s  # which a share of what training takes does not count
        self._done[given.purpose] += seconds if self._config.search.max_hours is None else charged
        if seconds > 0 and given.purpose != "hidden":  # a hidden task has another size
            self._seconds.observe(step, seconds, shared_s=event.shared_s)
            self._known = True
            self._lately.append((step, seconds))
        if left:
            self._given[event.trial] = Given(purpose=given.purpose, steps=tuple(left), at=event.at)
        if self._began is None:
            self._began = event.at - charged
        self._ends.append((event.at, charged))

    def expected_s(self, trial: str) -> float | None:
        """Predicted seconds of the step that a trial is given; None for one that trains nothing."""
        given = self._given.get(trial)
        return self._of(given.steps[:1]) if given and given.steps else None

    # What is left

    def left_s(self, at: float) -> dict[Purpose, float]:
        """Seconds of training that are left of each phase, at a time."""
        search = self._search_s(at)
        replicates = self._replicates_s(at, search_s=self._done["search"] + search)
        confirm, hidden = self._confirm_s(at), self._hidden_s(at)
        return {"search": search, "replicate": replicates, "confirm": confirm, "hidden": hidden}

    def clock_s(self, at: float) -> dict[Part, float] | None:
        """Seconds by the clock that are left of each phase; None while no step has shown what one takes.

        Before the ledger begins also of the baselines.
        """
        if not self._known or (pace := self.pace(at)) is None:
            return None
        left = self.left_s(at)
        found: dict[Part, float] = {
            purpose: left[purpose] * pace * self._drift_of(purpose) for purpose in left
        }
        found["search"] += self._start_s(at)
        read = self._record.hidden_read
        unread = [task.name for task in self._config.hidden if task.name not in read]
        found["hidden"] += self._baselines.hidden_s(unread, at)
        if self._record.started is not None or self._record.trials:
            return found
        baselines_s = self._baselines.left_s(at)
        return None if baselines_s is None else {"baselines": baselines_s, **found}

    def look(self, baselines: Baselines) -> None:
        """Take in what baselines of hidden tasks have shown, after the search."""
        self._baselines = baselines

    def _start_s(self, at: float) -> float:
        """Seconds by the clock until workers have started, if none has shown any training yet."""
        if self._ends or self._done["search"]:
            return 0.0
        since = min((given.at for given in self._given.values()), default=at)
        return max(0.0, self._baselines.start_s - max(0.0, at - since))

    def _drift_of(self, purpose: Purpose) -> float:
        """By how much steps take longer than predicted; 1 where seconds were given, not predicted."""
        given = self._config.search.max_hours is not None and not self._record.search_over
        paid = purpose == "search" or (purpose == "replicate" and self._config.replication.methods is None)
        return 1.0 if given and paid else self._drift

    @property
    def _drift(self) -> float:
        """What steps took lately over what is predicted for them: the machine may be busier by now."""
        predicted = float(self._seconds.predict([step for step, _ in self._lately]).sum())
        return sum(seconds for _, seconds in self._lately) / predicted if predicted else 1.0

    def pace(self, at: float) -> float | None:
        """Seconds by the clock for a second of training, over the last steps; None while nothing was started.

        Before the first rung of these workers, as if all trials that can run at once went on at full speed.
        While none is under way, as fast as until then.
        """
        if self._began is None or not self._ends:
            at_once = max(len(self._given), self._baselines.together or 0)
            return 1 / at_once if at_once else None
        if not self._given:
            at = self._ends[-1][0]
        (since, seconds), *others = self._ends
        if len(others) < WINDOW:  # all steps of this process
            since, others = self._began, [(since, seconds), *others]
        elapsed = max(0.0, at - since)
        under_way = sum(min(elapsed, self._trained_s(given, at)) for given in self._given.values())
        return elapsed / max(sum(worked for _, worked in others) + under_way, 1e-9)

    def _trained_s(self, given: Given, at: float) -> float:
        return min(max(0.0, at - given.at), self._of(given.steps))

    def _of(self, steps: Sequence[Step]) -> float:
        return float(self._seconds.predict(steps).sum())

    def _under_way(self, purpose: Purpose, at: float) -> tuple[float, float]:
        """Seconds of steps under way: trained, and left."""
        given = [one for one in self._given.values() if one.purpose == purpose]
        trained = sum(self._trained_s(one, at) for one in given)
        return trained, sum(self._of(one.steps) for one in given) - trained

    def _search_s(self, at: float) -> float:
        trained, left = self._under_way("search", at)
        if self._record.search_over or self._record.course.finishing:
            return left
        limits = self._config.search.limits
        total = self._budget.total_s
        if not total:
            total = limits["effort"] * limits["trials"] * fmean(map(self._whole, self._likely))
        rest = total - self._done["search"] - trained
        if limits["max_s"] is not None and self._done["search"]:
            # Cheap trials are all done before the hours are.
            rest = min(rest, left + search_left_s(self._config, self._record))
        return max(left, rest)

    def _replicates_s(self, at: float, *, search_s: float) -> float:
        _, left = self._under_way("replicate", at)
        record, config = self._record, self._config
        if record.course.finishing or record.confirming:
            return left
        if record.search_over:
            return left + self._not_started_s("replicate") + self._later_stages_s()
        naive_s = config.replication.seeds * self._whole(config.naive)
        if config.replication.methods is not None:
            return naive_s + sum(stage_budgets(config, record)) * self._typical_s()
        stages = len(config.replication_seeds())
        fewest = config.confirm.finalists * stages * self._typical_s()
        return naive_s + (max(fewest, config.replication.effort * search_s) if stages else 0.0)

    def _later_stages_s(self) -> float:
        """Seconds of the stages after those planned, if they spend as much of their budgets."""
        seeds, budgets = self._config.replication_seeds(), stage_budgets(self._config, self._record)
        plan = [one for one in self._plan("replicate") if one[0] != self._config.naive]
        planned_seeds = {seed for _, seed in plan}
        later = sum(budget for seed, budget in zip(seeds, budgets, strict=True) if seed not in planned_seeds)
        if self._config.replication.methods is not None:
            return later * self._typical_s()
        spends, may = sum(self._whole(method) for method, _ in plan), sum(budgets) - later
        return later * min(1.0, spends / may) if may else later

    def _confirm_s(self, at: float) -> float:
        _, left = self._under_way("confirm", at)
        confirm, plan = self._config.confirm, self._plan("confirm")
        if not plan and not self._record.confirming:
            return left + confirm.seeds * (
                self._whole(self._config.naive) + confirm.finalists * self._typical_s()
            )
        all_known = self._record.confirming
        missing = 0 if all_known else confirm.seeds * (1 + confirm.finalists) - len(plan)
        return left + self._not_started_s("confirm") + max(0, missing) * self._typical_s()

    def _hidden_s(self, at: float) -> float:
        """Seconds on hidden tasks, of which nothing is known: what the confirmation takes on the search's."""
        _, left = self._under_way("hidden", at)
        plan = self._plan("confirm")
        mean = sum(self._whole(method) for method, _ in plan) / len(plan) if plan else self._typical_s()
        count = planned(self._config, self._record)["hidden"] - self._record.tally("hidden").started
        return left + mean * count

    def _typical_s(self) -> float:
        """Seconds of a method that is likely to be among the best."""
        searched = [trial for trial in self._record.of_purpose("search") if trial.rungs]
        if searched:
            return likely_s(searched)
        rungs = self._config.search.pruning.rungs  # the best ones stop at any of them
        return fmean(map(self._whole, self._likely)) * fmean(rungs)

    @cached_property
    def _likely(self) -> list[Method]:
        return likely_methods(self._config, offered(self._config))

    def _whole(self, method: Method) -> float:
        """Seconds of a training, on all tasks."""
        steps = [Step(method=method, start=0.0, end=1.0, task=task) for task in range(len(self._tasks))]
        return self._of(steps)

    def _not_started_s(self, purpose: Purpose) -> float:
        started = {(trial.method.digest, trial.seed) for trial in self._record.of_purpose(purpose)}
        plan = self._plan(purpose)
        return sum(self._whole(method) for method, seed in plan if (method.digest, seed) not in started)

    def _plan(self, purpose: Purpose) -> list[tuple[Method, int]]:
        """The trials of a phase after the search, as far as known; made anew only when a trial has ended."""
        ended, plan = self._plans.get(purpose, (-1, []))
        if ended != len(self._record.ended_trials):
            if purpose == "confirm":
                plan = planned_confirmation(self._config, self._record)
            else:
                found = planned_replicates(self._config, self._record)
                plan = [(method, seed) for _, method, seed in found]
            self._plans[purpose] = len(self._record.ended_trials), plan
        return plan
