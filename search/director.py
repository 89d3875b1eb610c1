"""Decides what runs next and what stops: the whole search apart from Ray, between ledger and workers."""

import logging
import shutil
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.proposal import Proposal
from agents.proposer import Proposer
from search.allocation import BranchState, next_branch
from search.config import RunConfig
from search.confirm import planned_confirmation, planned_replication
from search.faults import too_many_lost
from search.grading import RemoteGrader
from search.journal import open_journal
from search.ledger import (
    EndState,
    Ledger,
    MicroBatchHalved,
    Proposed,
    Purpose,
    RungReached,
    TrialEnded,
    TrialStarted,
    WorkerLost,
)
from search.pgr import Bools
from search.pruning import Decision, decide
from search.record import Record, TrialRecord, unpack
from search.rounds import Rounds, checked
from search.sampler import BranchSampler
from trainers.cache import digest
from trainers.component import Frozen
from trainers.method import Method

log = logging.getLogger(__name__)


HOPELESS = 8  # failed trials, with none that did not fail, after which a search is given up


class SearchFailedError(RuntimeError):
    """A run that cannot reach an outcome."""


class Assignment(Frozen):
    """What a worker is given: a method and a seed, and whether it answers the search or the test split.

    rungs: rising shares of the training to report at; where the last is below 1, the trial pauses there.
    micro_batch: the largest that fits, if that is known to be less than the engine's.
    """

    trial: str
    purpose: Purpose
    method: Method
    seed: int
    rungs: tuple[float, ...]
    micro_batch: int | None = None


@dataclass(frozen=True, kw_only=True)
class TrialReport:
    """What a worker sends at a rung: packed predictions, the seconds they took, smaller micro-batches."""

    share: float
    predictions: str
    setup_s: float
    train_s: float
    eval_s: float
    micro_batches: tuple[int, ...] = ()


class Director:
    """Gives out assignments and takes in reports; one object a process, used from one thread.

    Its state is the record, Optuna's journal and what the grader says of the ledger's predictions: a new
    director over the same run directory goes on where the last one stopped.
    """

    def __init__(
        self,
        *,
        config: RunConfig,
        run_dir: Path,
        ledger: Ledger,
        record: Record,
        proposer: Proposer,
        grader: RemoteGrader,
        gap: float,
        search_size: int,
    ) -> None:
        self._config = config
        self._run_dir = run_dir
        self._ledger = ledger
        self._record = record
        self._grader = grader
        self._gap = gap
        self._search_size = search_size
        self._storage = open_journal(run_dir / "optuna.log")
        self._samplers: dict[str, BranchSampler] = {}
        self._used_up: set[str] = set()
        self._methods = {trial.method.digest for trial in record.of_purpose("search")} | {config.naive.digest}
        self._correct: dict[float, dict[str, Bools]] = defaultdict(dict)
        self._replication: deque[tuple[str, Assignment]] | None = None
        self._confirmation: deque[tuple[str, Assignment]] | None = None
        self._rounds = Rounds(config, record, proposer)
        self._restore()
        self._again = deque(record.unfinished())

    def close(self) -> None:
        """Stop waiting for a proposal."""
        self._rounds.close()

    # What runs next

    @property
    def done(self) -> bool:
        """Whether every trial of the search and of the confirmation has ended."""
        return self._confirmation is not None and not self._confirmation and not self._record.unfinished()

    def next(self) -> Assignment | None:
        """The next assignment, or None while there is none to give: ask again after a report, or soon."""
        if self._again:
            return self._restarted(self._again.popleft())
        if self._confirmation is None:
            if self._searching:
                if answer := self._rounds.take(self._used_up):
                    self._accept(*answer)
                if assignment := self._drawn():
                    return assignment
                if self._rounds.waiting or self._rounds.due(self._used_up):
                    return None
            if self._replication is None:
                if self._record.unfinished():
                    return None
                self._replication = self._planned("r", "replicate", self._replicates())
            if self._replication:
                return self._given(self._replication.popleft())
            if self._record.unfinished():
                return None
            self._confirmation = self._planned(
                "c", "confirm", [("", *one) for one in planned_confirmation(self._config, self._record)]
            )
        return self._given(self._confirmation.popleft()) if self._confirmation else None

    def _replicates(self) -> list[tuple[str, Method, int]]:
        planned = planned_replication(self._config, self._record)
        return [(trial.branch, trial.method, seed) for trial, seed in planned]

    def _planned(
        self, letter: str, purpose: Purpose, planned: Sequence[tuple[str, Method, int]]
    ) -> deque[tuple[str, Assignment]]:
        """What is still to start of a fixed plan, given as (branch, method, seed)."""
        named = [
            (
                branch,
                Assignment(trial=f"{letter}{i:05d}", purpose=purpose, method=method, seed=seed, rungs=(1.0,)),
            )
            for i, (branch, method, seed) in enumerate(planned, start=1)
        ]
        return deque(one for one in named if one[1].trial not in self._record.trials)

    def _given(self, planned: tuple[str, Assignment]) -> Assignment:
        branch, assignment = planned
        self._start(assignment, branch=branch, number=None)
        return assignment

    @property
    def _started(self) -> int:
        return self._record.tally("search").started

    @property
    def _searching(self) -> bool:
        """Whether the search may start trials: not once its best methods have been fixed."""
        fixed = len(self._record.trials) > self._started
        return self._started < self._config.search.trials and not fixed

    def _drawn(self) -> Assignment | None:
        while branch := next_branch(self._config.search.allocation, self._branch_states()):
            draw = self._sampler(branch).ask(self._methods)
            if draw is None:
                log.info("branch %s is used up: it has shown no new method", branch)
                self._used_up.add(branch)
                continue
            self._methods.add(draw.method.digest)
            assignment = Assignment(
                trial=f"t{self._started + 1:05d}",
                purpose="search",
                method=draw.method,
                seed=self._config.search_seed(),
                rungs=self._config.search.pruning.rungs,
            )
            self._start(assignment, branch=branch, number=draw.number)
            return assignment
        return None

    def _start(self, assignment: Assignment, *, branch: str, number: int | None) -> None:
        self._ledger.append(
            TrialStarted(
                trial=assignment.trial,
                purpose=assignment.purpose,
                branch=branch,
                number=number,
                method=assignment.method,
                seed=assignment.seed,
            )
        )

    def _restarted(self, trial: TrialRecord) -> Assignment:
        rungs = self._config.search.pruning.rungs if trial.purpose == "search" else (1.0,)
        assignment = Assignment(
            trial=trial.trial,
            purpose=trial.purpose,
            method=trial.method,
            seed=trial.seed,
            rungs=tuple(rung for rung in rungs if rung not in trial.rungs),
            micro_batch=trial.micro_batch,
        )
        self._start(assignment, branch=trial.branch, number=trial.number)
        return assignment

    def _branch_states(self) -> list[BranchState]:
        tallies = {
            name: self._record.tally("search", name)
            for name in self._record.branches
            if name not in self._used_up
        }
        return [
            BranchState(name=name, started=tally.started, best=_pgr(tally.best))
            for name, tally in tallies.items()
        ]

    # Proposals

    def _accept(self, proposal: Proposal, seconds: float) -> None:
        """Start a round with the branches that pass the checks; say what is wrong with the others."""
        number = self._record.rounds + 1
        proposal, wrong = checked(self._config, self._record, proposal)
        for problem in wrong:
            log.warning("round %d: %s", number, problem)
        if not proposal.branches and not self._record.branches:
            raise SearchFailedError("the first proposal has no branch that can run; see the warnings above")
        folder = self._run_dir / "rounds" / f"{number:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "proposal.json").write_text(proposal.model_dump_json(indent=2) + "\n")
        self._ledger.append(Proposed(round=number, proposal=proposal, seconds=seconds))

    def _sampler(self, branch: str) -> BranchSampler:
        if branch not in self._samplers:
            drawn = self._record.tally("search", branch).started
            seed = int(digest(self._config.seed, branch, drawn)[:8], 16)
            self._samplers[branch] = BranchSampler(
                self._record.branches[branch].branch,
                self._config.naive,
                self._config.abilities,
                self._storage,
                seed,
            )
        return self._samplers[branch]

    # What comes back

    def report(self, name: str, report: TrialReport) -> Decision:
        """Take in what a trial sends at a rung; say whether it goes on."""
        trial = self._record.trials[name]
        if trial.state is not None:
            return "stop"
        for micro_batch in report.micro_batches:
            self._ledger.append(MicroBatchHalved(trial=name, micro_batch=micro_batch))
        if report.share in trial.rungs:
            return "continue"  # told before its worker died
        if trial.purpose == "confirm":
            self._ledger.append(_rung(name, report))
            if report.share < 1:
                return "continue"
            self._end(trial, "completed", None)
            return "stop"
        score = self._grader.grade(report.predictions)
        self._ledger.append(_rung(name, report, accuracy=score.accuracy, pgr=score.pgr, se=score.se))
        self._tell_rung(trial, report.share, score.pgr)
        board = self._correct[report.share]
        board[name] = correct = unpack(score.correct, self._search_size)
        if report.share >= 1:
            self._end(trial, "completed", None)
            return "stop"
        rivals = [other for rival, other in board.items() if rival != name]
        decision = decide(self._config.search.pruning, correct, rivals, self._gap)
        if decision == "stop":
            self._end(trial, "pruned", f"PGR {score.pgr:.3f} at {report.share:.2f} of its training")
        return decision

    def out_of_memory(self, name: str, micro_batch: int) -> None:
        """Take in that a trial has to start again, with a smaller micro-batch."""
        self._ledger.append(MicroBatchHalved(trial=name, micro_batch=micro_batch))
        self._again.append(self._record.trials[name])

    def failed(self, name: str, cause: str) -> None:
        """Take in that a trial will send no more."""
        trial = self._record.trials[name]
        if trial.state is None:
            self._end(trial, "failed", cause)
        ended = self._record.tally("search").ended
        if ended["failed"] >= HOPELESS and ended["failed"] == ended.total():
            raise SearchFailedError(f"the first {HOPELESS} trials all failed, the last because: {cause}")

    def lost(self, name: str, cause: str, node: str | None) -> None:
        """Take in that a trial's worker is lost: the trial is given out again, or has failed.

        Raises SearchFailedError when the run has lost too many workers.
        """
        trial = self._record.trials[name]
        if trial.state is not None:
            return
        log.warning("trial %s on node %s: %s", name, node or "unknown", cause)
        self._ledger.append(WorkerLost(trial=name, node=node, cause=cause))
        lost = self._record.workers_lost
        if reason := too_many_lost(self._config.faults, lost, len(self._record.trials)):
            raise SearchFailedError(reason)
        if sum(one.trial == name for one in lost) > self._config.faults.retries:
            self.failed(name, cause)
        else:
            self._again.append(trial)

    def _end(self, trial: TrialRecord, state: EndState, cause: str | None) -> None:
        """The ledger first, then Optuna: a crash between the two is mended at the next start."""
        self._ledger.append(TrialEnded(trial=trial.trial, state=state, cause=cause))
        shutil.rmtree(self._run_dir / "checkpoints" / trial.trial, ignore_errors=True)
        self._tell_end(trial)

    def _tell_rung(self, trial: TrialRecord, share: float, pgr: float) -> None:
        if trial.number is not None:
            step = self._config.search.pruning.rungs.index(share)
            self._sampler(trial.branch).report(trial.number, step, pgr)

    def _tell_end(self, trial: TrialRecord) -> None:
        if trial.number is not None:
            assert trial.state is not None
            pgr = trial.last.pgr if trial.last else None
            self._sampler(trial.branch).tell(trial.number, trial.state, pgr)

    # After a crash

    def _restore(self) -> None:
        """Bring Optuna level with the ledger, and have the grader look at the recorded predictions again."""
        for trial in self._record.unfinished():
            for share, rung in trial.rungs.items():
                if rung.pgr is not None:
                    self._tell_rung(trial, share, rung.pgr)
            if 1.0 in trial.rungs:
                self._end(trial, "completed", None)
        ended = [trial for trial in self._record.of_purpose("search") if trial.state is not None]
        rungs = [
            (trial, rung) for trial in self._record.of_purpose("search") for rung in trial.rungs.values()
        ]
        scores = self._grader.grade_many([rung.predictions for _, rung in rungs])
        for (trial, rung), score in zip(rungs, scores, strict=True):
            self._correct[rung.share][trial.trial] = unpack(score.correct, self._search_size)
        for name in self._record.branches:
            sampler = self._sampler(name)
            open_numbers = set(sampler.open_numbers())
            for trial in ended:
                if trial.branch == name and trial.number in open_numbers:
                    self._tell_end(trial)
            recorded = {trial.number for trial in self._record.of_purpose("search") if trial.branch == name}
            for number in open_numbers - recorded:
                sampler.tell(number, "failed", None)


def _pgr(trial: TrialRecord | None) -> float | None:
    return trial.last.pgr if trial and trial.last else None


def _rung(name: str, report: TrialReport, **score: float) -> RungReached:
    return RungReached(
        trial=name,
        share=report.share,
        predictions=report.predictions,
        accuracy=score.get("accuracy"),
        pgr=score.get("pgr"),
        se=score.get("se"),
        setup_s=report.setup_s,
        train_s=report.train_s,
        eval_s=report.eval_s,
    )
