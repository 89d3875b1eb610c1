"""What is known of a run: the sum of its ledger's events, kept up to date as they are written."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from agents.proposal import Branch
from search.ledger import (
    AnyEvent,
    BaselinesReady,
    EndState,
    Finished,
    MicroBatchHalved,
    Proposed,
    Purpose,
    Resumed,
    RungReached,
    RunStarted,
    TestOpened,
    TrialEnded,
    TrialPaused,
    TrialStarted,
)
from search.pgr import Bools
from trainers.method import Method


@dataclass(kw_only=True)
class TrialRecord:
    """One trial as the ledger tells it; one that starts again, after a pause or a crash, keeps its rungs.

    due: the rung that it trains to, or has trained to. paused: whether it waits there for a worker.
    micro_batch: what it was reduced to when memory ran out.
    """

    trial: str
    purpose: Purpose
    branch: str
    number: int | None
    method: Method
    seed: int
    due: float
    started_at: float
    micro_batch: int | None = None
    rungs: dict[float, RungReached] = field(default_factory=dict)
    paused: bool = False
    state: EndState | None = None
    cause: str | None = None
    ended_at: float | None = None

    @property
    def last(self) -> RungReached | None:
        """The highest rung reached."""
        return self.rungs[max(self.rungs)] if self.rungs else None

    @property
    def train_s(self) -> float:
        """Seconds spent training and evaluating."""
        return sum(rung.train_s + rung.eval_s for rung in self.rungs.values())


@dataclass(frozen=True, kw_only=True)
class BranchRecord:
    """A branch and the round whose proposal brought it."""

    branch: Branch
    round: int


@dataclass(kw_only=True)
class Record:
    """Everything a run has done so far. `apply` takes events in the ledger's order.

    active_s: seconds that a process was at work on the run, without the time between a stop and its resume.
    """

    started: RunStarted | None = None
    started_at: float | None = None
    baselines: BaselinesReady | None = None
    branches: dict[str, BranchRecord] = field(default_factory=dict)
    trials: dict[str, TrialRecord] = field(default_factory=dict)
    rounds: int = 0
    grader_queries: Counter[str] = field(default_factory=Counter)
    test_openings: int = 0
    finished: bool = False
    active_s: float = 0.0
    _last_at: float | None = None

    @classmethod
    def of(cls, events: Iterable[AnyEvent]) -> "Record":
        """The record that these events add up to."""
        record = cls()
        for event in events:
            record.apply(event)
        return record

    def apply(self, event: AnyEvent) -> None:
        """Take one more event into account."""
        if self._last_at is not None and not isinstance(event, Resumed):
            self.active_s += event.at - self._last_at
        self._last_at = event.at
        match event:
            case RunStarted():
                self.started, self.started_at = event, event.at
            case BaselinesReady():
                self.baselines = event
            case Proposed():
                self.rounds = event.round
                for branch in event.proposal.branches:
                    self.branches[branch.name] = BranchRecord(branch=branch, round=event.round)
            case TrialStarted() if event.trial in self.trials:
                trial = self.trials[event.trial]
                trial.due, trial.paused = event.share, False
            case TrialStarted():
                self.trials[event.trial] = TrialRecord(
                    trial=event.trial,
                    purpose=event.purpose,
                    branch=event.branch,
                    number=event.number,
                    method=event.method,
                    seed=event.seed,
                    due=event.share,
                    started_at=event.at,
                )
            case RungReached():
                self.trials[event.trial].rungs[event.share] = event
                self.grader_queries["search"] += event.pgr is not None
            case MicroBatchHalved():
                self.trials[event.trial].micro_batch = event.micro_batch
            case TrialPaused():
                self.trials[event.trial].paused = True
            case TrialEnded():
                trial = self.trials[event.trial]
                trial.paused = False
                trial.state, trial.cause, trial.ended_at = event.state, event.cause, event.at
            case TestOpened():
                self.test_openings += 1
                self.grader_queries["test"] += event.queries
            case Finished():
                self.finished = True
            case _:
                pass

    def of_purpose(self, purpose: Purpose) -> Iterator[TrialRecord]:
        """The trials of the search, or of the confirmation, in the order they started."""
        return (trial for trial in self.trials.values() if trial.purpose == purpose)

    def unfinished(self) -> list[TrialRecord]:
        """Trials that started and have not ended: a resumed run starts these again."""
        return [trial for trial in self.trials.values() if trial.state is None]

    def ended(self, state: EndState) -> int:
        """How many trials of the search, its replicates among them, ended so."""
        return sum(trial.state == state for trial in self.trials.values() if trial.purpose != "confirm")

    def best(self, branch: str | None = None) -> TrialRecord | None:
        """The completed search trial, of one branch or all, with the highest PGR; ties go to the earlier."""
        done = [
            trial
            for trial in self.of_purpose("search")
            if trial.state == "completed" and branch in (None, trial.branch)
        ]
        return max(done, key=_final_pgr, default=None)


def _final_pgr(trial: TrialRecord) -> float:
    assert trial.last is not None
    assert trial.last.pgr is not None
    return trial.last.pgr


def pack(predictions: Bools) -> str:
    """Predicted classes, bool [n], as hexadecimal bits: 250 characters for 1,000 examples."""
    return np.packbits(predictions).tobytes().hex()


def unpack(predictions: str, n: int) -> Bools:
    """The inverse of `pack` for n examples."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(predictions), dtype=np.uint8), count=n).astype(np.bool_)
