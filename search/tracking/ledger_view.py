"""The subset of a run's state that tracking needs: a sum of the ledger's events."""

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
class TrialView:
    """A trial. It keeps its rungs when it goes on after a pause, or in place of a lost worker."""

    started: TrialStarted
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
class LedgerView:
    """The subset of ledger events that tracking needs. ended: trials, in the order in which they ended."""

    baselines: BaselinesReady | None = None
    branches: dict[str, tuple[int, Branch]] = field(default_factory=dict)
    trials: dict[str, TrialView] = field(default_factory=dict)
    ended: list[TrialView] = field(default_factory=list)
    rounds: int = 0
    finished: bool = False

    def apply(self, event: AnyEvent) -> None:
        """Add an event."""
        match event:
            case BaselinesReady():
                self.baselines = event
            case Proposed():
                self.rounds = event.round
                self.branches |= {branch.name: (event.round, branch) for branch in event.proposal.branches}
            case TrialStarted():
                self.trials.setdefault(event.trial, TrialView(started=event))
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

    def origin(self, trial: TrialView) -> tuple[int, Branch] | None:
        """The round and branch that a trial's method comes from; None for the naive baseline.

        A confirmation trial names no branch: its branch is that of the search trial with the same method.
        """
        if trial.started.branch:
            return self.branches[trial.started.branch]
        for earlier in self.trials.values():
            if earlier.started.branch and earlier.started.method == trial.started.method:
                return self.branches[earlier.started.branch]
        return None
