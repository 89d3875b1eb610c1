"""Decides what runs next and what stops: the whole search apart from Ray, between ledger and workers."""

import logging
import math
from pathlib import Path
from typing import Literal

from agents.findings.proposer import Proposer
from search.config.schema import RunConfig
from search.engine.assignment import Assignment, TrialReport
from search.engine.exploration import Exploration, NewTrial, Promoted
from search.engine.follow_up import Repeats
from search.engine.rounds import Answered, Rounds, checked, told
from search.engine.trials import Trials, last
from search.ledger.events import MicroBatchHalved, Proposed, WorkerLost
from search.ledger.log import Ledger
from search.ledger.record import Record, TrialRecord
from search.policy.faults import out_of_retries, too_many_lost
from search.scoring.grader import Score, SearchGrader
from search.studies.storage import open_journal
from search.studies.studies import Studies
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
        grader: SearchGrader,
        gap: float,
        search_size: int,
    ) -> None:
        self._config = config
        self._run_dir = run_dir
        self._ledger = ledger
        self._record = record
        self._grader = grader
        self._rungs = config.search.pruning.rungs
        storage = open_journal(run_dir / "optuna.log", config.optuna.storage, record.started)
        self._studies = Studies(config, record, storage)
        self._exploration = Exploration(config, self._studies.of)
        self._trials = Trials(
            config=config,
            run_dir=run_dir,
            ledger=ledger,
            record=record,
            studies=self._studies,
            exploration=self._exploration,
            gap=gap,
            search_size=search_size,
        )
        self._repeats = Repeats(config, record)
        self._searching = not any(trial.purpose != "search" for trial in record.trials.values())
        self._round_is_over = False
        self._rounds = Rounds(config, record, proposer)
        self._trials.restore(grader)

    def close(self) -> None:
        """Stop waiting for a proposal."""
        self._rounds.close()

    # What runs next

    @property
    def done(self) -> bool:
        """Whether every trial of the search and of the confirmation has ended."""
        return self._repeats.all_given and not self._trials.running

    def next(self) -> Assignment | None:
        """The next assignment, or None while there is none to give: ask again after a report, or soon."""
        if self._trials.again:
            return self._trials.restarted()
        if self._searching:
            if assignment := self._searched():
                return assignment
            if self._trials.running or self._more_to_come:
                return None
            self._end_search()
        if planned := self._repeats.next(idle=not self._trials.running):
            branch, assignment = planned
            return self._trials.start(assignment, branch=branch, number=None)
        return None

    def _end_search(self) -> None:
        self._searching = False
        for name in self._exploration.all_waiting():
            self._trials.give_up(self._record.trials[name], "the search ended before its turn came")

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
                return self._trials.start(
                    self._assignment(
                        f"t{self._exploration.started + 1:05d}", draw.method, self._config.search_seed(), 0
                    ),
                    branch=branch,
                    number=self._studies.of(branch).start(draw),
                )
            case Promoted(trial=name, rung=rung):
                trial = self._record.trials[name]
                return self._trials.start(
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
        if name not in self._trials.running:
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
        self._trials.end(trial, "completed", None)
        return "stop"

    def _judged(self, trial: TrialRecord, score: Score) -> Literal["continue", "stop"]:
        """What becomes of a search trial at the rung that it has just reached."""
        self._studies.reached(trial)
        finding = self._trials.counted(trial, last(trial), score)
        if last(trial).share >= 1:
            self._trials.end(trial, "completed", None)
        elif finding.decision == "stop":
            self._trials.give_up(
                trial, f"unlikely to be among the best of its branch there (of {finding.rivals + 1})"
            )
        elif last(trial).share < trial.due:
            return "continue"
        else:
            self._trials.pause(trial)
            self._trials.seat(trial)
        return "stop"

    def out_of_memory(self, name: str, micro_batch: int) -> None:
        """Take in that a trial has to start again, with a smaller micro-batch."""
        self._ledger.append(MicroBatchHalved(trial=name, micro_batch=micro_batch))
        self._trials.again.append(self._record.trials[name])

    def failed(self, name: str, cause: str) -> None:
        """Take in that a trial will send no more."""
        trial = self._record.trials[name]
        if name in self._trials.running:
            self._trials.end(trial, "failed", cause)
            if trial.purpose == "search":
                self._trials.fail(trial)
        if self._trials.early_failures >= HOPELESS:
            raise SearchFailedError(f"the first {HOPELESS} trials all failed, the last because: {cause}")

    def lost(self, name: str, cause: str, node: str | None, *, begun: bool) -> None:
        """Take in that a trial's worker is lost: the trial is given out again, or has failed.

        begun: whether the trial had begun in that worker. Raises SearchFailedError when the run has lost too
        many workers.
        """
        if name not in self._trials.running:
            return
        log.warning("trial %s on node %s: %s", name, node or "unknown", cause)
        self._ledger.append(WorkerLost(trial=name, node=node, cause=cause, begun=begun))
        lost = self._record.workers_lost
        if reason := too_many_lost(self._config.faults, lost, len(self._record.trials)):
            raise SearchFailedError(reason)
        if out_of_retries(self._config.faults, (one for one, _ in lost if one.trial == name)):
            self.failed(name, cause)
        else:
            self._trials.again.append(self._record.trials[name])
