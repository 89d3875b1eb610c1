"""The append-only record of a run: one event a line, and nothing else is needed to resume."""

import hashlib
import logging
import time
from typing import Annotated, Literal

from pydantic import Field

from agents.findings.round_proposal import LaneReport, Note
from agents.language.proposal import Proposal
from trainers.component import Frozen
from trainers.method import Method

log = logging.getLogger(__name__)

Purpose = Literal["search", "replicate", "confirm"]
EndState = Literal["completed", "pruned", "failed"]


class Event(Frozen):
    """Something that happened, at a time in seconds since the epoch."""

    at: float = Field(default_factory=time.time)


class RunStarted(Event):
    """The first line of every ledger."""

    event: Literal["run_started"] = "run_started"
    run: str
    config_sha256: str
    commit: str

    @property
    def id(self) -> str:
        """Twelve hex digits that are this run's alone, also when it is resumed or moved."""
        return hashlib.sha256(f"{self.run} {self.at!r} {self.config_sha256}".encode()).hexdigest()[:12]


class BaselinesReady(Event):
    """Weak floor and ceiling on the search split.

    examples: how many it holds. weak_predictions: each supervisor's classes on it, as hexadecimal bits, in
    the order of seeds: what students are compared with to see whom they imitate. seed_variance: of PGR,
    between the seeds of either, on seed_free degrees of freedom.
    """

    event: Literal["baselines_ready"] = "baselines_ready"
    weak_acc: float
    weak_se: float
    ceiling_acc: float
    ceiling_se: float
    seeds: int
    train_s: float
    examples: int = 0
    weak_predictions: tuple[str, ...] = ()
    seed_variance: Annotated[float, Field(ge=0)] = 0.0
    seed_free: Annotated[int, Field(ge=0)] = 0


class Proposed(Event):
    """A proposal that passed its checks and started a round."""

    event: Literal["proposed"] = "proposed"
    round: int
    proposal: Proposal
    seconds: float


class TrialStarted(Event):
    """A method was given to a worker, for the first time or to go on.

    number: Optuna's, None outside a study. share: the rung that it trains to.
    """

    event: Literal["trial_started"] = "trial_started"
    trial: str
    purpose: Purpose
    branch: str
    number: int | None
    method: Method
    seed: int
    share: float = 1.0


class RungReached(Event):
    """A trial's predictions at a rung, packed, and their score on the search split.

    accuracy, pgr, se: None as a worker sends it, and for predictions on the test split. setup_s, train_s,
    eval_s: seconds since the last rung.
    """

    event: Literal["rung_reached"] = "rung_reached"
    trial: str
    share: float
    predictions: str
    accuracy: float | None = None
    pgr: float | None = None
    se: float | None = None
    setup_s: float
    train_s: float
    eval_s: float


class MicroBatchHalved(Event):
    """A trial ran out of memory and goes on with so many examples in a forward pass, of the same batch."""

    event: Literal["micro_batch_halved"] = "micro_batch_halved"
    trial: str
    micro_batch: int


class TrialPaused(Event):
    """A trial waits at its last rung; its worker is free. It goes on, if it does, as a trial that starts."""

    event: Literal["trial_paused"] = "trial_paused"
    trial: str


class TrialEnded(Event):
    """A trial's end: completed at full resource, pruned by the stopping rule, or failed with its cause."""

    event: Literal["trial_ended"] = "trial_ended"
    trial: str
    state: EndState
    cause: str | None


class WorkerLost(Event):
    """The process of a trial died, or was ended as it took too long. node: where, None if not known.

    begun: whether the trial had begun in it.
    """

    event: Literal["worker_lost"] = "worker_lost"
    trial: str
    node: str | None
    cause: str
    begun: bool = True


class TestOpened(Event):
    """The test labels were read, to grade `queries` sets of predictions."""

    __test__ = False  # not a pytest class

    event: Literal["test_opened"] = "test_opened"
    queries: int


class Interrupted(Event):
    """The run was told to stop; everything before this line is saved."""

    event: Literal["interrupted"] = "interrupted"


class Resumed(Event):
    """A new process took the run over."""

    event: Literal["resumed"] = "resumed"


class Finished(Event):
    """The outcome is in result.json."""

    event: Literal["finished"] = "finished"


class LaneAnswered(Event):
    """What one lane of a round's proposer said, did and cost; of a round asked again the last one counts."""

    event: Literal["lane_answered"] = "lane_answered"
    round: int
    lane: LaneReport


class NoteLeft(Event):
    """A finding that a proposer left for later rounds."""

    event: Literal["note_left"] = "note_left"
    note: Note


class BranchesRefused(Event):
    """Branches of a round's proposal that were not taken, and why, a sentence each."""

    event: Literal["branches_refused"] = "branches_refused"
    round: int
    reasons: tuple[str, ...]


AnyEvent = Annotated[
    RunStarted
    | BaselinesReady
    | Proposed
    | TrialStarted
    | RungReached
    | MicroBatchHalved
    | TrialPaused
    | TrialEnded
    | WorkerLost
    | TestOpened
    | Interrupted
    | Resumed
    | Finished
    | LaneAnswered
    | NoteLeft
    | BranchesRefused,
    Field(discriminator="event"),
]
