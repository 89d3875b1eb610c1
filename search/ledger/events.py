"""The events of a run, one per line of its append-only ledger. A run resumes from them alone."""

import hashlib
import logging
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from agents.advice.suggestions import NamedDraw
from agents.findings.round_proposal import LaneReport, Note
from agents.findings.usage import Usage
from agents.language.proposal import Branch, Proposal, Prose
from search.ledger.earlier import EarlierScored
from search.ledger.event import Event
from search.ledger.event import now as now
from search.ledger.steered import Steered
from trainers.component import Frozen
from trainers.data.counts import DataCounts
from trainers.files import EARLIER, UNKNOWN
from trainers.method import Method
from trainers.trial.label_quality import LabelQuality

log = logging.getLogger(__name__)

FORMAT = 3  # of ledgers; raise it when the methods or events in them take on another meaning

Purpose = Literal["search", "replicate", "confirm", "hidden"]
EndState = Literal["completed", "pruned", "failed"]
DrawnBy = Literal["sampler", "agent"]


class Sources(Frozen):
    """What a run learns from and is graded by; all processes that work on it must find the same.

    salt: keys the digests of ground truth, in hex; it stays in the ledger. digests: of the inputs and the
    ground truth of every split and of the weights of every model, by name. commits: what hub ids meant when
    the run began, by the place of their setting.
    """

    salt: str
    digests: dict[str, str]
    commits: dict[str, str] = Field(default_factory=dict)


class RunStarted(Event):
    """The first line of every ledger.

    sources: None in ledgers of earlier versions. code: see `cluster.commit.running_code`. format: a ledger of
    an earlier one is refused.
    """

    event: Literal["run_started"] = "run_started"
    format: int = FORMAT
    run: str
    config_sha256: str
    commit: str
    sources: Sources | None = None
    code: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _its_methods_are_read_as_they_were_written(cls, values: Any, info: ValidationInfo) -> Any:
        found = values.get("format", 1) if isinstance(values, dict) else 1
        if info.mode == "json" and found != FORMAT:
            age = EARLIER if found in range(FORMAT) else UNKNOWN[0]
            raise PydanticCustomError(age, f"its methods are of format {found!r}, today's of {FORMAT}")
        return values

    @property
    def id(self) -> str:
        """Twelve hex digits that identify the run, also after it is resumed or moved."""
        return hashlib.sha256(f"{self.run} {self.at!r} {self.config_sha256}".encode()).hexdigest()[:12]


class TaskBaselines(Frozen):
    """Weak floor and ceiling on the search split of one of several searched tasks; see BaselinesReady."""

    name: str
    weak_acc: float
    weak_se: float
    ceiling_acc: float
    ceiling_se: float
    examples: int
    data: DataCounts | None = None

    @property
    def gap(self) -> float:
        """The unit of PGR."""
        return self.ceiling_acc - self.weak_acc


class BaselinesReady(Event):
    """Weak floor and ceiling on the search split.

    examples: size of the split. weak_predictions: the classes that each supervisor predicts on it, packed,
    in the order of seeds; comparing a student with them shows how far it imitates its supervisor.
    seed_variance: of PGR, between the seeds of floor and ceiling, on seed_free degrees of freedom. data: what
    became of the rows of the data; None in ledgers that were written before they were counted.

    tasks: of each of several searched tasks. The accuracies beside it are then means over them, the split is
    theirs one after another, and seed_variance that of the mean PGR.
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
    data: DataCounts | None = None
    tasks: tuple[TaskBaselines, ...] = ()


class Proposed(Event):
    """A proposal that passed its checks and started a round."""

    event: Literal["proposed"] = "proposed"
    round: int
    proposal: Proposal
    seconds: float


class TrialStarted(Event):
    """A worker was given a trial, to start it or to resume it.

    number: the trial's number in its Optuna study, None outside a study. share: the rung it trains to.
    task: the name of the hidden task that it learns, empty for the search's own. on: of several searched
    tasks, the one that it trains now; empty for all that are missing, and where there is one. by: who named
    its method.
    """

    event: Literal["trial_started"] = "trial_started"
    trial: str
    purpose: Purpose
    branch: str
    number: int | None
    method: Method
    seed: int
    share: float = 1.0
    task: str = ""
    on: str = ""
    by: DrawnBy = "sampler"


class Reached(Event):
    """What a trial predicted at a rung, packed, and its score on the search split.

    accuracy, pgr, se: None when a worker sends the event, and for predictions on the test split. setup_s,
    train_s, eval_s: seconds since the last rung. shared_s: besides, for what a campaign computes once for all
    its trials, such as frozen features, or in waiting for it. losses: the training loss since then, on weak
    labels, as means over at most 16 equal parts. labels: of the trial's labels, with its first rung alone.
    engine: what trains, as `trainers.training.loop.fit` names it, with the first rung after a training has
    begun.
    """

    event: str
    trial: str
    share: float
    predictions: str
    accuracy: float | None = None
    pgr: float | None = None
    se: float | None = None
    setup_s: float
    train_s: float
    eval_s: float
    shared_s: float = 0.0
    losses: tuple[float, ...] = ()
    labels: LabelQuality | None = None
    engine: str = ""

    @property
    def seconds(self) -> float:
        """Setup, training and evaluation since the last rung, without what is shared."""
        return self.setup_s + self.train_s + self.eval_s


class RungReached(Reached):
    """A trial reached a rung: with several searched tasks, on all of them (see TaskReached)."""

    event: Literal["rung_reached"] = "rung_reached"


class TaskReached(Reached):
    """A trial reached a rung on one of several searched tasks; its scores are those of this task.

    task: its name. A RungReached follows once the trial is there on all tasks: with the predictions of all,
    one after another, the score over all, and the sums of their seconds.
    """

    event: Literal["task_reached"] = "task_reached"
    task: str


class MicroBatchHalved(Event):
    """A trial ran out of memory. micro_batch: examples per forward pass from now on; the batch stays."""

    event: Literal["micro_batch_halved"] = "micro_batch_halved"
    trial: str
    micro_batch: int


class TrialPaused(Event):
    """A trial paused at its last rung, and its worker is free. TrialStarted resumes it."""

    event: Literal["trial_paused"] = "trial_paused"
    trial: str


class TrialEnded(Event):
    """A trial ended: completed its training, was pruned, or failed.

    cause: why it was pruned or failed. judged: False if it failed for its workers: no method is judged by it.
    """

    event: Literal["trial_ended"] = "trial_ended"
    trial: str
    state: EndState
    cause: Prose | None
    judged: bool = True


class WorkerLost(Event):
    """The process of a trial died, or was killed after too long a silence.

    node: where it ran, None if unknown. begun: whether the trial had begun in that process.
    """

    event: Literal["worker_lost"] = "worker_lost"
    trial: str
    node: str | None
    cause: Prose
    begun: bool = True


class HiddenRead(Event):
    """The search is over, all trials of its confirmation have ended, and a hidden task is read.

    train_s: seconds of training its baselines. trials: of its confirmation, with the finalists that can run
    there; None in ledgers of earlier versions. data: what became of the rows of its data.
    """

    event: Literal["hidden_read"] = "hidden_read"
    task: str
    train_s: float
    trials: int | None = None
    data: DataCounts | None = None


class EarlierOpening(Frozen):
    """An opening of test examples by a run, this one or another, before. shared: examples in common.

    run: the name of its directory, which another run may have too. id: of the run; empty in ledgers of
    earlier versions.
    """

    run: str
    id: str = ""
    at: float
    shared: int


class TestOpened(Event):
    """The test labels were read to grade `queries` sets of predictions.

    digest: of the test split's inputs. examples: its size. earlier: the other openings of its examples that
    are known, oldest first. task: the name of a hidden task, empty for the search's own.
    """

    __test__ = False  # not a pytest class

    event: Literal["test_opened"] = "test_opened"
    queries: int
    digest: str = ""
    examples: int = 0
    earlier: tuple[EarlierOpening, ...] = ()
    task: str = ""


class Interrupted(Event):
    """The run stopped on request; everything before this event is saved."""

    event: Literal["interrupted"] = "interrupted"


class Resumed(Event):
    """A new process resumed the run. code: see `cluster.commit.running_code`."""

    event: Literal["resumed"] = "resumed"
    code: dict[str, str] = Field(default_factory=dict)


class Finished(Event):
    """The outcome is in result.json."""

    event: Literal["finished"] = "finished"


class LaneAnswered(Event):
    """What a lane of a round's proposer proposed and cost. A later event for the same lane replaces it."""

    event: Literal["lane_answered"] = "lane_answered"
    round: int
    lane: LaneReport


class RequestReserved(Event):
    """A request to the model is about to be sent; until it is settled, it counts `usd`, its highest cost.

    request: its number in this run. Every attempt is a request of its own.
    """

    event: Literal["request_reserved"] = "request_reserved"
    request: int
    round: int
    lane: str
    usd: Annotated[float, Field(ge=0)]


class RequestSettled(Event):
    """A request ended. usage: what it cost; its reservation again if it may be billed without an answer."""

    event: Literal["request_settled"] = "request_settled"
    request: int
    usage: Usage


class NoteLeft(Event):
    """A finding that a proposer left for later rounds."""

    event: Literal["note_left"] = "note_left"
    note: Note


class DrawsNamed(Event):
    """The agent was asked for draws within a round, and named these; see LaneAnswered for what it cost.

    request: its number in the round, from 1. Trials of these methods say `by: agent` when they start.
    """

    event: Literal["draws_named"] = "draws_named"
    round: int
    request: int
    draws: tuple[NamedDraw, ...]


class BranchesRefused(Event):
    """Branches of a round's proposal that were rejected. reasons: one sentence each."""

    event: Literal["branches_refused"] = "branches_refused"
    round: int
    reasons: tuple[Prose, ...]


AnyEvent = Annotated[
    RunStarted
    | BaselinesReady
    | EarlierScored
    | Proposed
    | TrialStarted
    | RungReached
    | TaskReached
    | MicroBatchHalved
    | TrialPaused
    | TrialEnded
    | WorkerLost
    | HiddenRead
    | TestOpened
    | Interrupted
    | Resumed
    | Finished
    | LaneAnswered
    | RequestReserved
    | RequestSettled
    | NoteLeft
    | DrawsNamed
    | BranchesRefused
    | Steered,
    Field(discriminator="event"),
]


def new_branches(event: AnyEvent) -> tuple[Branch, ...]:
    """The branches that an event brings."""
    match event:
        case Proposed():
            return event.proposal.branches
        case Steered():
            return event.add
        case _:
            return ()
