"""Decides what runs next and what stops: the whole search apart from Ray, between ledger and workers."""

import logging
import math
import time
from collections import deque
from collections.abc import Sequence
from typing import Literal

from agents.findings.proposer import Proposer
from search.engine.assignment import Assignment
from search.engine.context import RunContext
from search.engine.exploration import Exploration
from search.engine.follow_up import FollowUp
from search.engine.judging import Judging
from search.engine.rounds import Answered, Rounds, checked, told
from search.engine.trials import Trials
from search.ledger.events import AnyEvent, MicroBatchHalved, Proposed, RungReached, WorkerLost
from search.ledger.record import TrialRecord
from search.policy.faults import out_of_retries, too_many_lost
from search.studies.sampler import Draw
from search.studies.storage import open_journal
from search.studies.studies import Studies

log = logging.getLogger(__name__)


HOPELESS = 8  # failed trials, with none that reached a rung, after which a search is given up


class SearchFailedError(RuntimeError):
    """A run that cannot reach an outcome."""


class Director:
    """Gives out assignments and takes in reports; one object a process, used from one thread.

    Its state is the sum of the ledger's events: exploration, judging and Optuna's studies learn of trials
    from them alone, whether an event has just been written or is replayed by a process that takes over.
    """

    def __init__(self, run: RunContext, proposer: Proposer, past: Sequence[AnyEvent]) -> None:
        """past: the ledger's events so far, which `run.record` has applied."""
        self._run = run
        self._config = run.config
        self._record = run.record
        self._rungs = run.config.search.pruning.rungs
        storage = open_journal(run.directory / "optuna.log", run.config.optuna.storage, run.record.started)
        self._studies = Studies(run.config, storage)
        self._exploration = Exploration(run.config, run.record, self._studies.of)
        self._judging = Judging(run)
        self._trials = Trials(run)
        self._follow_up = FollowUp(run.config, run.record)
        self._rounds = Rounds(run.config, run.record, proposer)
        self._searching = not any(trial.purpose != "search" for trial in run.record.trials.values())
        self._round_is_over = False
        self._again: deque[str] = deque()  # trials to hand out once more, before any other
        self._replay(past)

    def close(self) -> None:
        """Stop waiting for a proposal."""
        self._rounds.close()

    # What has happened

    def _apply(self, event: AnyEvent) -> None:
        self._exploration.apply(event)
        self._judging.apply(event)
        self._studies.apply(event)

    def _replay(self, past: Sequence[AnyEvent]) -> None:
        """Learn what an earlier process did, and finish what its end cut short."""
        self._judging.grade_again(past)
        for event in past:
            self._apply(event)
        self._studies.settle()
        self._run.ledger.listen(self._apply)
        for trial in list(self._record.running.values()):
            if trial.last and trial.last.share >= trial.due:
                self._decide(trial)
            else:
                self._again.append(trial.trial)
        self._make_room()

    # What runs next

    @property
    def done(self) -> bool:
        """Whether every trial of the search and of the confirmation has ended."""
        return self._follow_up.all_given and not self._record.running

    def next(self) -> Assignment | None:
        """The next assignment, or None while there is none to give: ask again after a report, or soon."""
        if self._again:
            trial = self._record.trials[self._again.popleft()]
            return self._trials.resume(trial, trial.due)
        if self._searching:
            if assignment := self._search():
                return assignment
            if self._record.running or self._more_to_come:
                return None
            self._end_search()
        if planned := self._follow_up.next(idle=not self._record.running):
            branch, assignment = planned
            return self._trials.start(assignment, branch=branch, number=None)
        return None

    def _end_search(self) -> None:
        self._searching = False
        for name in self._exploration.paused():
            self._trials.prune(self._record.trials[name], "the search ended before its turn came")

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

    def _search(self) -> Assignment | None:
        """The search's next assignment: a new method, or a paused trial to its next rung."""
        if self._exploration.started < self._config.search.trials and (
            answer := self._rounds.take(self._exploration.used_up, self._trained)
        ):
            self._accept(answer)
        match self._step():
            case Draw() as draw:
                assignment = Assignment(
                    trial=f"t{self._exploration.started + 1:05d}",
                    purpose="search",
                    method=draw.method,
                    seed=self._config.search_seed(),
                    rungs=self._rungs[:1],
                )
                number = self._studies.of(draw.branch).start(draw)
                return self._trials.start(assignment, branch=draw.branch, number=number)
            case TrialRecord() as trial:
                return self._trials.resume(trial, self._rungs[self._rungs.index(trial.due) + 1])
        return None

    def _step(self) -> Draw | TrialRecord | None:
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

    # Proposals

    def _accept(self, answered: Answered) -> None:
        """Start a round with the branches that pass the checks; say what is wrong with the others."""
        number = self._record.rounds + 1
        proposal, wrong = checked(self._config, self._record, answered.answer.proposal)
        for problem in wrong:
            log.warning("round %d: %s", number, problem)
        if not proposal.branches and not self._record.branches:
            raise SearchFailedError("the first proposal has no branch that can run; see the warnings above")
        folder = self._run.directory / "rounds" / f"{number:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "proposal.json").write_text(proposal.model_dump_json(indent=2) + "\n")
        for event in told(number, answered.answer, wrong):
            self._run.ledger.append(event)
        self._run.ledger.append(Proposed(round=number, proposal=proposal, seconds=answered.seconds))
        self._round_is_over = False

    # What comes back

    def report(self, rung: RungReached, micro_batches: Sequence[int] = ()) -> Literal["continue", "stop"]:
        """Take in a rung that a trial reached, still without a score; say whether the trial goes on at once.

        micro_batches: those that the trial was reduced to on its way. A trial that is not running is told to
        stop. A rung that the trial has passed (its state was lost, and it began again) is not graded again.
        """
        trial = self._record.trials[rung.trial]
        if rung.trial not in self._record.running:
            return "stop"
        for micro_batch in micro_batches:
            self._run.ledger.append(MicroBatchHalved(trial=rung.trial, micro_batch=micro_batch))
        if trial.last and rung.share <= trial.last.share:
            return "continue"
        self._run.ledger.append(self._graded(trial, rung))
        return self._decide(trial)

    def _graded(self, trial: TrialRecord, rung: RungReached) -> RungReached:
        """The rung as the ledger keeps it. Predictions on the test split stay ungraded until it is opened."""
        now: dict[str, float] = {"at": time.time()}  # the worker's clock may differ
        if trial.purpose != "confirm":
            score = self._judging.grade(rung)
            now |= {"accuracy": score.accuracy, "pgr": score.pgr, "se": score.se}
        return rung.model_copy(update=now)

    def _decide(self, trial: TrialRecord) -> Literal["continue", "stop"]:
        """Say what becomes of a trial at the rung that it reached last, and write it down."""
        assert trial.last is not None
        if trial.last.share >= 1:
            self._trials.end(trial, "completed", None)
            return "stop"
        if trial.purpose != "search":
            return "continue"
        finding = self._judging.finding(trial.trial)
        if finding.decision == "stop":
            rivals = finding.rivals + 1
            self._trials.prune(trial, f"unlikely to be among the best of its branch there (of {rivals})")
        elif trial.last.share < trial.due:
            return "continue"
        else:
            self._trials.pause(trial)
            self._make_room()
        return "stop"

    def _make_room(self) -> None:
        """End the paused trials that are too many at their rung."""
        places = self._config.search.promotion.waiting
        while name := self._exploration.surplus():
            self._trials.prune(self._record.trials[name], f"the {places} places there went to others")

    def out_of_memory(self, name: str, micro_batch: int) -> None:
        """Take in that a trial has to start again, with a smaller micro-batch."""
        self._run.ledger.append(MicroBatchHalved(trial=name, micro_batch=micro_batch))
        self._again.append(name)

    def failed(self, name: str, cause: str) -> None:
        """Take in that a trial will send no more."""
        if name in self._record.running:
            self._trials.end(self._record.trials[name], "failed", cause)
        failed = self._record.tally("search").ended["failed"]
        if failed >= HOPELESS and not self._judging.any_rung_reached:
            raise SearchFailedError(f"the first {HOPELESS} trials all failed, the last because: {cause}")

    def lost(self, name: str, cause: str, node: str | None, *, begun: bool) -> None:
        """Take in that a trial's worker is lost: the trial is handed out again, or has failed.

        begun: whether the trial had begun in that worker. Raises SearchFailedError when the run has lost too
        many workers.
        """
        if name not in self._record.running:
            return
        log.warning("trial %s on node %s: %s", name, node or "unknown", cause)
        self._run.ledger.append(WorkerLost(trial=name, node=node, cause=cause, begun=begun))
        lost = self._record.workers_lost
        if reason := too_many_lost(self._config.faults, lost, len(self._record.trials)):
            raise SearchFailedError(reason)
        if out_of_retries(self._config.faults, (loss for loss, _ in lost if loss.trial == name)):
            self.failed(name, cause)
        else:
            self._again.append(name)
