"""Decides what runs next and what stops: the whole search apart from Ray, between ledger and workers."""

import logging
import math
import shutil
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from agents.proposer import Proposer
from search.assignment import Assignment, TrialReport
from search.bits import unpack
from search.config import RunConfig
from search.confirm import planned_confirmation
from search.exploration import Exploration, NewTrial, Promoted
from search.faults import too_many_lost
from search.grading import RemoteGrader, Score
from search.journal import open_journal
from search.judging import Finding, Judge
from search.ledger import (
    EndState,
    Ledger,
    MicroBatchHalved,
    Proposed,
    Purpose,
    RungReached,
    TrialEnded,
    TrialPaused,
    TrialStarted,
    WorkerLost,
)
from search.record import Record, TrialRecord
from search.replication import planned_replication
from search.rounds import Answered, Rounds, checked, told
from search.studies import Studies
from trainers.method import Method

log = logging.getLogger(__name__)


HOPELESS = 8  # failed trials, with none that reached a rung, after which a search is given up


class SearchFailedError(RuntimeError):
    """A run that cannot reach an outcome."""


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
        self._search_size = search_size
        self._rungs = config.search.pruning.rungs
        self._judge = Judge(config.search.pruning, gap)
        storage = open_journal(run_dir / "optuna.log", config.optuna.storage, record.started)
        self._studies = Studies(config, record, storage)
        self._exploration = Exploration(config, self._studies.of)
        self._running: set[str] = set()
        self._again: deque[TrialRecord] = deque()
        self._replication: deque[tuple[str, Assignment]] = deque()
        self._confirmation: deque[tuple[str, Assignment]] | None = None
        self._searching = not any(trial.purpose != "search" for trial in record.trials.values())
        self._round_is_over = False
        self._failures = 0
        self._rounds = Rounds(config, record, proposer)
        self._restore()

    def close(self) -> None:
        """Stop waiting for a proposal."""
        self._rounds.close()

    # What runs next

    @property
    def done(self) -> bool:
        """Whether every trial of the search and of the confirmation has ended."""
        return self._confirmation is not None and not self._confirmation and not self._running

    def next(self) -> Assignment | None:
        """The next assignment, or None while there is none to give: ask again after a report, or soon."""
        if self._again:
            return self._restarted(self._again.popleft())
        if self._searching:
            if assignment := self._searched():
                return assignment
            if self._running or self._more_to_come:
                return None
            self._end_search()
        if self._confirmation is None:
            if not self._replication:  # at first, and after each stage
                if self._running:
                    return None
                self._replication = self._planned("r", "replicate", self._replicates())
            if self._replication:
                return self._given(self._replication.popleft())
            self._confirmation = self._planned(
                "c", "confirm", [("", *one) for one in planned_confirmation(self._config, self._record)]
            )
        return self._given(self._confirmation.popleft()) if self._confirmation else None

    def _end_search(self) -> None:
        self._searching = False
        for name in self._exploration.all_waiting():
            self._give_up(self._record.trials[name], "the search ended before its turn came")

    @property
    def _more_to_come(self) -> bool:
        """Whether a proposal may still bring methods that there is room for."""
        open_to_new = self._exploration.started < self._config.search.trials
        return open_to_new and (
            self._rounds.waiting or self._rounds.due(self._exploration.used_up, self._trained)
        )

    @property
    def _trained(self) -> float:
        """Full trainings so far; without bound once the round has nothing left to train."""
        return math.inf if self._round_is_over else self._exploration.trained

    def _step(self) -> NewTrial | Promoted | None:
        """What to train next. A round keeps to its own trials, but nobody waits for a slow proposer."""
        trials = self._config.search.trials
        of_rounds = min(trials, self._record.rounds * self._config.search.round_trials)
        step = self._exploration.next(
            more_to_come=of_rounds < trials or self._more_to_come, new_at_most=of_rounds
        )
        if step is None and of_rounds < trials:
            self._round_is_over = True
            if self._rounds.waiting or not self._more_to_come:
                step = self._exploration.next(more_to_come=self._more_to_come, new_at_most=trials)
        return step

    def _searched(self) -> Assignment | None:
        if self._exploration.started < self._config.search.trials and (
            answer := self._rounds.take(self._exploration.used_up, self._trained)
        ):
            self._accept(answer)
        match self._step():
            case NewTrial(branch=branch, draw=draw):
                return self._start(
                    self._assignment(
                        f"t{self._exploration.started + 1:05d}", draw.method, self._config.search_seed(), 0
                    ),
                    branch=branch,
                    number=self._studies.of(branch).start(draw),
                )
            case Promoted(trial=name, rung=rung):
                trial = self._record.trials[name]
                return self._start(
                    self._assignment(name, trial.method, trial.seed, rung, trial.micro_batch),
                    branch=trial.branch,
                    number=trial.number,
                )
        return None

    def _assignment(
        self, trial: str, method: Method, seed: int, rung: int, micro_batch: int | None = None
    ) -> Assignment:
        return Assignment(
            trial=trial,
            purpose="search",
            method=method,
            seed=seed,
            rungs=(self._rungs[rung],),
            micro_batch=micro_batch,
        )

    def _replicates(self) -> list[tuple[str, Method, int]]:
        planned = planned_replication(self._config, self._record)
        return [(trial.branch, trial.method, seed) for trial, seed in planned]

    def _planned(
        self, letter: str, purpose: Purpose, planned: Sequence[tuple[str, Method, int]]
    ) -> deque[tuple[str, Assignment]]:
        """What is still to start of a plan whose order lasts, given as (branch, method, seed)."""
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
        return self._start(assignment, branch=branch, number=None)

    def _start(self, assignment: Assignment, *, branch: str, number: int | None) -> Assignment:
        self._announce(assignment, branch=branch, number=number)
        self._running.add(assignment.trial)
        if assignment.purpose == "search":
            trial = self._record.trials[assignment.trial]
            self._exploration.went(trial, self._rungs.index(trial.due))
        return assignment

    def _announce(self, assignment: Assignment, *, branch: str, number: int | None) -> None:
        self._ledger.append(
            TrialStarted(
                trial=assignment.trial,
                purpose=assignment.purpose,
                branch=branch,
                number=number,
                method=assignment.method,
                seed=assignment.seed,
                share=assignment.rungs[-1],
            )
        )

    def _restarted(self, trial: TrialRecord) -> Assignment:
        """A trial that was running when the process ended: it and what it spent are known already."""
        assignment = Assignment(
            trial=trial.trial,
            purpose=trial.purpose,
            method=trial.method,
            seed=trial.seed,
            rungs=(trial.due,),
            micro_batch=trial.micro_batch,
        )
        self._announce(assignment, branch=trial.branch, number=trial.number)
        return assignment

    # Proposals

    def _accept(self, answered: Answered) -> None:
        """Start a round with the branches that pass the checks; say what is wrong with the others."""
        number = self._record.rounds + 1
        proposal, wrong = checked(self._config, self._record, answered.answer.proposal)
        for problem in wrong:
            log.warning("round %d: %s", number, problem)
        if not proposal.branches and not self._record.branches:
            raise SearchFailedError("the first proposal has no branch that can run; see the warnings above")
        folder = self._run_dir / "rounds" / f"{number:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "proposal.json").write_text(proposal.model_dump_json(indent=2) + "\n")
        for event in told(number, answered.answer, wrong):
            self._ledger.append(event)
        self._ledger.append(Proposed(round=number, proposal=proposal, seconds=answered.seconds))
        for branch in proposal.branches:
            self._exploration.opened(branch.name)
        self._round_is_over = False

    # What comes back

    def report(self, name: str, report: TrialReport) -> Literal["continue", "stop"]:
        """Take in what a trial sends at a rung; say whether it goes on at once.

        A report of a trial that is not running says nothing any more, and one of a rung that the trial has
        passed (its state was lost, and it began again) says nothing new: neither is graded.
        """
        trial = self._record.trials[name]
        if name not in self._running:
            return "stop"
        for micro_batch in report.micro_batches:
            self._ledger.append(MicroBatchHalved(trial=name, micro_batch=micro_batch))
        if trial.last and report.share <= trial.last.share:
            return "continue"
        if trial.purpose == "confirm":
            self._ledger.append(report.event(name, None))
        else:
            score = self._grader.grade(report.predictions)
            self._ledger.append(report.event(name, score))
            if trial.purpose == "search":
                return self._judged(trial, score)
        if report.share < 1:
            return "continue"
        self._end(trial, "completed", None)
        return "stop"

    def _judged(self, trial: TrialRecord, score: Score) -> Literal["continue", "stop"]:
        """What becomes of a search trial at the rung that it has just reached."""
        self._studies.reached(trial)
        finding = self._counted(trial, _last(trial), score)
        if _last(trial).share >= 1:
            self._end(trial, "completed", None)
        elif finding.decision == "stop":
            self._give_up(trial, f"unlikely to be among the best of {finding.rivals + 1} there")
        elif _last(trial).share < trial.due:
            return "continue"
        else:
            self._pause(trial)
            self._seat(trial)
        return "stop"

    def _counted(self, trial: TrialRecord, reached: RungReached, score: Score) -> Finding:
        """Let a score count in later decisions."""
        rung = self._rungs.index(reached.share)
        finding = self._judge.look(rung, unpack(score.correct, self._search_size))
        self._exploration.scored(trial, rung, score.pgr)
        return finding

    def _pause(self, trial: TrialRecord) -> None:
        self._ledger.append(TrialPaused(trial=trial.trial))
        self._running.discard(trial.trial)

    def _seat(self, trial: TrialRecord) -> None:
        """Have a paused trial wait; whoever has to leave for it ends."""
        last = _last(trial)
        assert last.pgr is not None
        if crowded_out := self._exploration.paused(trial, self._rungs.index(last.share), last.pgr):
            places = self._config.search.promotion.waiting
            self._give_up(self._record.trials[crowded_out], f"the {places} that wait there are better")

    def _give_up(self, trial: TrialRecord, why: str) -> None:
        last = _last(trial)
        self._end(trial, "pruned", f"PGR {last.pgr:.3f} at {last.share:.2f} of its training: {why}")

    def out_of_memory(self, name: str, micro_batch: int) -> None:
        """Take in that a trial has to start again, with a smaller micro-batch."""
        self._ledger.append(MicroBatchHalved(trial=name, micro_batch=micro_batch))
        self._again.append(self._record.trials[name])

    def failed(self, name: str, cause: str) -> None:
        """Take in that a trial will send no more."""
        trial = self._record.trials[name]
        if name in self._running:
            self._end(trial, "failed", cause)
            if trial.purpose == "search":
                self._fail(trial)
        if self._failures >= HOPELESS:
            raise SearchFailedError(f"the first {HOPELESS} trials all failed, the last because: {cause}")

    def lost(self, name: str, cause: str, node: str | None) -> None:
        """Take in that a trial's worker is lost: the trial is given out again, or has failed.

        Raises SearchFailedError when the run has lost too many workers.
        """
        if name not in self._running:
            return
        log.warning("trial %s on node %s: %s", name, node or "unknown", cause)
        self._ledger.append(WorkerLost(trial=name, node=node, cause=cause))
        lost = self._record.workers_lost
        if reason := too_many_lost(self._config.faults, lost, len(self._record.trials)):
            raise SearchFailedError(reason)
        if sum(one.trial == name for one in lost) > self._config.faults.retries:
            self.failed(name, cause)
        else:
            self._again.append(self._record.trials[name])

    def _fail(self, trial: TrialRecord) -> None:
        """Let a failure count in later decisions."""
        self._exploration.failed(trial, self._rungs.index(trial.due))
        self._failures += not self._judge.has_seen_any

    def _end(self, trial: TrialRecord, state: EndState, cause: str | None) -> None:
        """The ledger first, then Optuna: a crash between the two is mended at the next start."""
        self._ledger.append(TrialEnded(trial=trial.trial, state=state, cause=cause))
        self._running.discard(trial.trial)
        self._studies.ended(trial)
        shutil.rmtree(self._run_dir / "checkpoints" / trial.trial, ignore_errors=True)

    # After a crash

    def _restore(self) -> None:
        """Count what the ledger tells, mend what the crash cut short, and bring Optuna level with it."""
        for name in self._record.branches:
            self._exploration.opened(name)
        self._recount()
        for trial in self._record.unfinished():
            if trial.paused:
                continue
            if trial.last and trial.last.share >= trial.due:
                self._conclude(trial)
            else:
                self._running.add(trial.trial)
                self._again.append(trial)
        for trial in self._record.unfinished():
            if trial.paused:
                self._seat(trial)
        self._studies.level()

    def _recount(self) -> None:
        searched = list(self._record.of_purpose("search"))
        rungs = [(trial, rung) for trial in searched for rung in trial.rungs.values()]
        scores = self._grader.grade_many([rung.predictions for _, rung in rungs])
        for trial in searched:
            for rung in range(self._rungs.index(trial.due) + 1):
                self._exploration.went(trial, rung)
        for (trial, reached), score in zip(rungs, scores, strict=True):
            self._counted(trial, reached, score)
        for trial in searched:
            if trial.state == "failed":
                self._fail(trial)

    def _conclude(self, trial: TrialRecord) -> None:
        """A trial that reached its rung, though not what was to become of it there."""
        if trial.due >= 1:
            self._end(trial, "completed", None)
        else:
            self._pause(trial)


def _last(trial: TrialRecord) -> RungReached:
    assert trial.last is not None
    return trial.last
