"""What W&B is told of a run: a sum of the ledger's events, in which a trial shows its last attempt."""

from dataclasses import dataclass, field

from agents.language.proposal import Branch
from search.ledger.events import (
    AnyEvent,
    BaselinesReady,
    Finished,
    Proposed,
    RungReached,
    TrialEnded,
    TrialStarted,
)


@dataclass(kw_only=True)
class TrackedTrial:
    """One trial; one that was started again after a crash has the rungs of its last attempt."""

    started: TrialStarted
    attempt: int = 1
    rungs: list[RungReached] = field(default_factory=list)
    ended: TrialEnded | None = None

    @property
    def last(self) -> RungReached | None:
        """The highest rung reached."""
        return self.rungs[-1] if self.rungs else None

    @property
    def train_s(self) -> float:
        """Seconds spent training and evaluating."""
        return sum(rung.train_s + rung.eval_s for rung in self.rungs)


@dataclass(kw_only=True)
class Tracked:
    """The sum of a ledger's events that tracking needs. ended: trials in the order of their ends."""

    baselines: BaselinesReady | None = None
    branches: dict[str, tuple[int, Branch]] = field(default_factory=dict)
    trials: dict[str, TrackedTrial] = field(default_factory=dict)
    ended: list[TrackedTrial] = field(default_factory=list)
    rounds: int = 0
    finished: bool = False

    def apply(self, event: AnyEvent) -> None:
        """Take one more event into account."""
        match event:
            case BaselinesReady():
                self.baselines = event
            case Proposed():
                self.rounds = event.round
                self.branches |= {branch.name: (event.round, branch) for branch in event.proposal.branches}
            case TrialStarted():
                before = self.trials.get(event.trial)
                attempt = before.attempt + 1 if before else 1
                self.trials[event.trial] = TrackedTrial(started=event, attempt=attempt)
            case RungReached():
                self.trials[event.trial].rungs.append(event)
            case TrialEnded():
                trial = self.trials[event.trial]
                trial.ended = event
                self.ended.append(trial)
            case Finished():
                self.finished = True
            case _:
                pass

    def home(self, trial: TrackedTrial) -> tuple[int, Branch] | None:
        """The round and branch that a trial's method comes from; None for the naive baseline.

        A trial of the confirmation names no branch: it is that of the search trial with its method.
        """
        if trial.started.branch:
            return self.branches[trial.started.branch]
        for other in self.trials.values():
            if other.started.branch and other.started.method == trial.started.method:
                return self.branches[other.started.branch]
        return None
