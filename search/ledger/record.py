"""The state of a run: the sum of its ledger's events, updated as they are written."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from agents.findings.bill import Bill, LaneId
from agents.findings.round_proposal import LaneReport, Note
from agents.language.proposal import Branch
from search.ledger.earlier import EarlierScored
from search.ledger.events import (
    AnyEvent,
    BaselinesReady,
    BranchesRefused,
    DrawsNamed,
    EndState,
    Finished,
    HiddenRead,
    Interrupted,
    LaneAnswered,
    MicroBatchHalved,
    NoteLeft,
    Proposed,
    Purpose,
    RequestReserved,
    RequestSettled,
    Resumed,
    RungReached,
    RunStarted,
    TaskReached,
    TestOpened,
    TrialEnded,
    TrialPaused,
    TrialStarted,
    WorkerLost,
)
from search.ledger.steered import Course, Steered
from search.ledger.trial_record import TrialRecord


@dataclass(kw_only=True)
class Tally:
    """Counts over a group of trials: started, ended by state; and the trial with the best PGR at a rung."""

    started: int = 0
    ended: Counter[EndState] = field(default_factory=Counter)
    best: TrialRecord | None = None

    @property
    def running(self) -> int:
        """Trials that have not ended."""
        return self.started - self.ended.total()

    def end(self, trial: TrialRecord) -> None:
        """Count the end of a trial."""
        assert trial.state is not None
        self.ended[trial.state] += 1

    def score(self, trial: TrialRecord) -> None:
        """Consider a trial that has reached another rung."""
        self.best = trial if self.best is None else max(self.best, trial, key=_rank)


@dataclass(frozen=True, kw_only=True)
class BranchRecord:
    """A branch and the round that proposed it. by: "steer" if a person added it. stopped: by a person."""

    branch: Branch
    round: int
    by: Literal["proposer", "steer"] = "proposer"
    stopped: bool = False


@dataclass(kw_only=True)
class Record:
    """Everything a run has done so far. `apply` takes events in the ledger's order.

    Queries made at every step of a run cost the same for any number of trials: `apply` updates the sums.

    interrupted: whether the last event is Interrupted.
    active_s: seconds that processes worked on the run, without the time between a stop and a resume.
    workers_lost: the workers lost since the run was last started or resumed, each with the number of trials
        started by then.
    running: trials that started and have neither paused nor ended; read only.
    test_openings, test_opened: how often this run opened the test split, and the last time it did.
    hidden_read: of each hidden task, that it was read. opened_elsewhere: the last time that the test split of
        another task than the (first) searched one was opened, by task.
    earlier: what earlier runs scored; None where that was not asked for, or before it was read.
    codes: the code of every process that worked on the run, each code once, the first first.
    draw_requests: by round, how often the agent was asked for draws. agent_draws: search trials it named.
    search_over: whether trials after the search have started, and no person has let it go on since.
    confirming: whether trials of the confirmation have started, and no person has asked for more search or
        replicates since: with those another confirmation is due.
    course: what persons have changed while it ran. after_opening: their changes that gave the run more to do
        once it had opened its test split.
    """

    started: RunStarted | None = None
    started_at: float | None = None
    baselines: BaselinesReady | None = None
    earlier: EarlierScored | None = None
    branches: dict[str, BranchRecord] = field(default_factory=dict)
    trials: dict[str, TrialRecord] = field(default_factory=dict)
    rounds: int = 0
    grader_queries: Counter[str] = field(default_factory=Counter)
    test_openings: int = 0
    test_opened: TestOpened | None = None
    hidden_read: dict[str, HiddenRead] = field(default_factory=dict)
    opened_elsewhere: dict[str, TestOpened] = field(default_factory=dict)
    finished: bool = False
    interrupted: bool = False
    active_s: float = 0.0
    lanes: dict[LaneId, LaneReport] = field(default_factory=dict)
    bill: Bill = field(default_factory=Bill)
    notes: list[Note] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    workers_lost: list[tuple[WorkerLost, int]] = field(default_factory=list)
    running: dict[str, TrialRecord] = field(default_factory=dict)
    codes: list[dict[str, str]] = field(default_factory=list)
    ended_trials: list[TrialRecord] = field(default_factory=list)
    draw_requests: Counter[int] = field(default_factory=Counter)
    agent_draws: int = 0
    search_over: bool = False
    confirming: bool = False
    course: Course = field(default_factory=Course)
    after_opening: list[Steered] = field(default_factory=list)
    _tallies: dict[tuple[Purpose, str | None], Tally] = field(default_factory=lambda: defaultdict(Tally))
    _by_purpose: dict[Purpose, dict[str, TrialRecord]] = field(default_factory=lambda: defaultdict(dict))
    _unfinished: dict[str, TrialRecord] = field(default_factory=dict)
    _last_at: float | None = None

    @classmethod
    def of(cls, events: Iterable[AnyEvent]) -> "Record":
        """The sum of these events."""
        record = cls()
        for event in events:
            record.apply(event)
        return record

    def apply(self, event: AnyEvent) -> None:
        """Add an event."""
        idle = isinstance(event, Resumed) or (isinstance(event, Steered) and event.by == "resume")
        if self._last_at is not None and not idle:
            self.active_s += max(0.0, event.at - self._last_at)  # the clock may have been set back
        self._last_at = event.at
        self.interrupted = isinstance(event, Interrupted)
        match event:
            case RunStarted():
                self.started, self.started_at = event, event.at
                self._runs_on(event.code)
            case BaselinesReady():
                self.baselines = event
            case EarlierScored():
                self.earlier = event
            case Proposed():
                self.rounds = event.round
                for branch in event.proposal.branches:
                    self.branches[branch.name] = BranchRecord(branch=branch, round=event.round)
            case Steered():
                self._steer(event)
            case TrialStarted():
                self._start(event)
            case RungReached():
                self._reach(event)
            case TaskReached():
                self.trials[event.trial].on_tasks[event.share, event.task] = event
                self.grader_queries["search"] += event.pgr is not None
            case MicroBatchHalved():
                self.trials[event.trial].micro_batch = event.micro_batch
            case TrialPaused():
                self.running.pop(event.trial).paused = True
            case TrialEnded():
                self._end(event)
            case WorkerLost():
                self.workers_lost.append((event, len(self.trials)))
            case Resumed():
                self.workers_lost.clear()
                self._runs_on(event.code)
            case HiddenRead():
                self.hidden_read[event.task] = event
            case TestOpened():
                self._open(event)
            case Finished():
                self.finished = True
            case LaneAnswered():
                self.lanes[event.round, event.lane.lane] = event.lane
            case RequestReserved():
                self.bill.reserve(event.request, (event.round, event.lane), event.usd)
            case RequestSettled():
                self.bill.settle(event.request, event.usage)
            case NoteLeft():
                self.notes.append(event.note)
            case DrawsNamed():
                self.draw_requests[event.round] += 1
            case BranchesRefused():
                self.refused += [(event.round, reason) for reason in event.reasons]
            case _:
                pass

    def _runs_on(self, code: dict[str, str]) -> None:
        if code and code not in self.codes:
            self.codes.append(code)

    def _open(self, event: TestOpened) -> None:
        self.grader_queries["test"] += event.queries
        if event.task:
            self.opened_elsewhere[event.task] = event
        else:
            self.test_openings += 1
            self.test_opened = event

    def _steer(self, event: Steered) -> None:
        self.course.apply(event)
        for branch in event.add:
            self.branches[branch.name] = BranchRecord(branch=branch, round=max(1, self.rounds), by="steer")
        for name in event.stop:
            self.branches[name] = replace(self.branches[name], stopped=True)
        self.finished &= not event.reopens
        if event.reopens and self.test_openings:
            self.after_opening.append(event)
        self.search_over &= not event.extends_search
        self.confirming &= not (event.extends_search or event.extends_replication)

    @property
    def config_sha256(self) -> str | None:
        """The digest of the config that the run goes by; None before it began."""
        return self.course.config_sha256 or (self.started.config_sha256 if self.started else None)

    def _start(self, event: TrialStarted) -> None:
        if event.trial in self.trials:
            trial = self.trials[event.trial]
            trial.due, trial.due_on, trial.paused = event.share, event.on, False
            self.running[event.trial] = trial
            return
        trial = TrialRecord(
            trial=event.trial,
            place=len(self.trials),
            purpose=event.purpose,
            branch=event.branch,
            number=event.number,
            method=event.method,
            seed=event.seed,
            due=event.share,
            started_at=event.at,
            task=event.task,
            due_on=event.on,
            first_on=event.on,
            by=event.by,
        )
        self.search_over |= event.purpose != "search"
        self.confirming |= event.purpose == "confirm"
        self.agent_draws += event.by == "agent"
        for index in (self.trials, self._by_purpose[event.purpose], self._unfinished, self.running):
            index[event.trial] = trial
        for branch in (None, event.branch):
            self._tallies[event.purpose, branch].started += 1

    def _reach(self, event: RungReached) -> None:
        trial = self.trials[event.trial]
        trial.rungs[event.share] = event
        if event.pgr is None:
            return
        self.grader_queries["search"] += not trial.on_tasks  # else its predictions were counted by task
        for branch in (None, trial.branch):
            self._tallies[trial.purpose, branch].score(trial)

    def _end(self, event: TrialEnded) -> None:
        trial = self.trials[event.trial]
        if self._unfinished.pop(event.trial, None) is None:
            raise ValueError(f"the ledger ends the trial {event.trial} twice; restore it from a copy")
        self.running.pop(event.trial, None)
        trial.paused = False
        trial.state, trial.cause, trial.ended_at = event.state, event.cause, event.at
        trial.judged = event.judged
        self.ended_trials.append(trial)
        for branch in (None, trial.branch):
            self._tallies[trial.purpose, branch].end(trial)

    def tally(self, purpose: Purpose, branch: str | None = None) -> Tally:
        """Counts over the trials with this purpose, of one branch or of all; read only."""
        return self._tallies.get((purpose, branch)) or Tally()

    def of_purpose(self, purpose: Purpose) -> Iterator[TrialRecord]:
        """The trials with this purpose, in the order of their first starts."""
        return iter(self._by_purpose[purpose].values())

    def train_s(self, purpose: Purpose) -> float:
        """Seconds spent training and evaluating, in all trials with this purpose."""
        return sum(trial.train_s for trial in self.of_purpose(purpose))

    def unfinished(self) -> list[TrialRecord]:
        """Trials that started and have not ended."""
        return list(self._unfinished.values())

    def ended(self, state: EndState) -> int:
        """Number of trials that ended in this state, of all phases."""
        return sum(self.tally(purpose).ended[state] for purpose in get_args(Purpose))

    def best(self, branch: str | None = None) -> TrialRecord | None:
        """The search trial with the highest PGR at a rung, of one branch or all. Ties go to the earlier."""
        return self.tally("search", branch).best


def _rank(trial: TrialRecord) -> tuple[float, int]:
    assert trial.best_pgr is not None
    return trial.best_pgr, -trial.place
