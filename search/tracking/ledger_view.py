"""What the process that tracks a run knows of it: the lines of the ledger, as far as W&B is told of them.

Stands apart from search.ledger, whose events bring torch with them: the tracking process reads of each line
only what it passes on, so it starts within a second and stays small.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from trainers.component import Frozen

Kind = Literal["offline", "online"]


class Job(Frozen):
    """What the tracking process is asked to do. No secret is in it: it lies in the run directory.

    campaign: the run's own id, which all ids at W&B start with. config: the run's settings. parameters: the
    sweep's. sweep: an existing one to use. patience_s: how long to go on once the search has ended.
    """

    directory: str
    kind: Kind
    project: str
    entity: str | None
    sweep: str | None
    campaign: str
    name: str
    config: dict[str, Any]
    parameters: dict[str, Any]
    patience_s: float


class _Line(BaseModel):
    """A line of the ledger, or a part of one; what is not named here is not read."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class BaselinesLine(_Line):
    """See search.ledger.events.BaselinesReady."""

    weak_acc: float
    ceiling_acc: float


class BranchLine(_Line):
    """See agents.language.proposal.Branch."""

    name: str
    family: str
    hypothesis: str
    parent: str | None


class ProposalLine(_Line):
    """See agents.language.proposal.Proposal."""

    branches: tuple[BranchLine, ...]


class ProposedLine(_Line):
    """See search.ledger.events.Proposed."""

    round: int
    proposal: ProposalLine


class StartedLine(_Line):
    """See search.ledger.events.TrialStarted."""

    at: float
    trial: str
    purpose: str
    branch: str
    method: dict[str, dict[str, Any]]
    seed: int


class RungLine(_Line):
    """See search.ledger.events.RungReached."""

    at: float
    trial: str
    share: float
    accuracy: float | None
    pgr: float | None
    se: float | None
    train_s: float
    eval_s: float


class EndedLine(_Line):
    """See search.ledger.events.TrialEnded."""

    at: float
    trial: str
    state: str
    cause: str | None


@dataclass(kw_only=True)
class TrackedTrial:
    """One trial; one that was started again after a crash has the rungs of its last attempt."""

    started: StartedLine
    attempt: int = 1
    rungs: list[RungLine] = field(default_factory=list)
    ended: EndedLine | None = None

    @property
    def last(self) -> RungLine | None:
        """The highest rung reached."""
        return self.rungs[-1] if self.rungs else None

    @property
    def train_s(self) -> float:
        """Seconds spent training and evaluating."""
        return sum(rung.train_s + rung.eval_s for rung in self.rungs)


@dataclass(kw_only=True)
class Tracked:
    """The sum of a ledger's lines, as far as W&B is told of them."""

    baselines: BaselinesLine | None = None
    branches: dict[str, tuple[int, BranchLine]] = field(default_factory=dict)
    trials: dict[str, TrackedTrial] = field(default_factory=dict)
    ended: list[TrackedTrial] = field(default_factory=list)
    rounds: int = 0
    finished: bool = False

    def apply(self, line: bytes) -> None:
        """Take one more line into account; events that W&B is not told of are passed over."""
        match json.loads(line)["event"]:
            case "baselines_ready":
                self.baselines = BaselinesLine.model_validate_json(line)
            case "proposed":
                proposed = ProposedLine.model_validate_json(line)
                self.rounds = proposed.round
                self.branches |= {b.name: (proposed.round, b) for b in proposed.proposal.branches}
            case "trial_started":
                started = StartedLine.model_validate_json(line)
                before = self.trials.get(started.trial)
                self.trials[started.trial] = TrackedTrial(
                    started=started, attempt=before.attempt + 1 if before else 1
                )
            case "rung_reached":
                rung = RungLine.model_validate_json(line)
                self.trials[rung.trial].rungs.append(rung)
            case "trial_ended":
                ended = EndedLine.model_validate_json(line)
                trial = self.trials[ended.trial]
                trial.ended = ended
                self.ended.append(trial)
            case "finished":
                self.finished = True

    def home(self, trial: TrackedTrial) -> tuple[int, BranchLine] | None:
        """The round and branch that a trial's method comes from; None for the naive baseline.

        A trial of the confirmation names no branch: it is that of the search trial with its method.
        """
        if trial.started.branch:
            return self.branches[trial.started.branch]
        for other in self.trials.values():
            if other.started.branch and other.started.method == trial.started.method:
                return self.branches[other.started.branch]
        return None
