"""Decides which trial runs next and which stops: the whole search except Ray."""

import logging
import math
from collections import deque
from collections.abc import Sequence
from typing import Literal

from agents.findings.proposer import Proposer
from search.config.load import changed
from search.config.tasks import HiddenTask
from search.engine.advice.requests import DrawRequests
from search.engine.assignment import Assignment
from search.engine.context import RunContext
from search.engine.exploration import Exploration
from search.engine.follow_up import FollowUp
from search.engine.judging import Judging
from search.engine.rounds import Rounds, TimedProposal, checked, round_events
from search.engine.trials import Trials
from search.ledger.events import (
    AnyEvent,
    MicroBatchHalved,
    Proposed,
    RungReached,
    WorkerLost,
)
from search.ledger.steered import Steered
from search.ledger.trial_record import TrialRecord
from search.policy.faults import out_of_retries, too_many_lost
from search.studies.branch_sampler import BranchSampler
from search.studies.sampler import Draw
from search.studies.storage import open_journal
from search.studies.studies import MakeSampler, Studies

log = logging.getLogger(__name__)

STOPPED = "its branch was stopped"
MAX_EARLY_FAILURES = 8  # failed trials, with none that reached a rung, that end the search


class SearchFailedError(RuntimeError):
    """The run cannot reach an outcome."""


class Director:
    """Hands out assignments and receives reports; one object per process, used from one thread.

    Its state is the sum of the ledger's events. Exploration, judging and Optuna's studies learn of trials
    from these events alone, whether live or replayed on resume.
    """

    def __init__(
        self,
        run: RunContext,
        proposer: Proposer,
        past: Sequence[AnyEvent],
        *,
        make_sampler: MakeSampler = BranchSampler,
        at_once: bool = False,
    ) -> None:
        """past: the ledger's events so far; `run.record` has applied them already.

        make_sampler, at_once: for simulations, see Studies and Rounds.
        """
        self._run = run
        self._config = run.config
        self._record = run.record
        storage = open_journal(run.directory / "optuna.log", run.config.optuna.storage, run.record.started)
        self._studies = Studies(run.config, storage, make_sampler)
        self._exploration = Exploration(run.config, run.record, self._studies.of)
        self._judging = Judging(run)
        self._trials = Trials(run, self._judging.grade)
        self._follow_up = FollowUp(run.config, run.record)
        self._rounds = Rounds(run.config, run.record, proposer, at_once=at_once)
        self._draws = DrawRequests(run.config, run.record, proposer, at_once=at_once)
        self._searching = not run.record.search_over
        self._round_is_over = False
        self._restarts: deque[str] = deque()  # trials to hand out again, before any other
        self._task = ""  # that trials are handed out of: the search's own, then each hidden one
        self._replay(past)

    def close(self) -> None:
        """Stop waiting for a proposal or for draws; the proposer's threads end."""
        self._rounds.close()
        self._draws.close()

    # What has happened

    def _apply(self, event: AnyEvent) -> None:
        self._exploration.apply(event)
        self._judging.apply(event)
        self._studies.apply(event)

    def _replay(self, past: Sequence[AnyEvent]) -> None:
        """Restore the state of an earlier process, and finish what its end interrupted."""
        self._judging.regrade(past)
        for event in past:
            self._apply(event)
        self._studies.settle()
        self._run.ledger.listen(self._apply)
        for trial in list(self._record.running.values()):
            self._trials.complete(trial)
            if trial.is_there:
                self._decide(trial)
            else:
                self._restarts.append(trial.trial)
        self._end_surplus()
        self._end_stopped()

    def steer(self, order: Steered) -> None:
        """Record an order of a person and follow it. Branches that it stops lose their paused trials."""
        self._run.ledger.append(order)
        self._config = changed(self._config, order.settings)
        self._rounds.go_by(self._config)
        self._draws.go_by(self._config)
        if order.settings:
            self._follow_up.plan_anew(self._config)
            self._searching = not self._record.search_over
        self._end_stopped()

    def _end_stopped(self) -> None:
        """End the paused trials of branches that a person stopped."""
        for name in self._exploration.paused():
            if self._is_stopped(trial := self._record.trials[name]):
                self._trials.prune(trial, STOPPED)

    def _is_stopped(self, trial: TrialRecord) -> bool:
        return trial.purpose == "search" and self._record.branches[trial.branch].stopped

    # What runs next

    @property
    def done(self) -> bool:
        """Whether every trial has ended: of search and confirmation, or of the hidden task that is due."""
        return self._follow_up.all_handed_out and not self._running

    @property
    def _running(self) -> bool:
        """Whether a trial of the present task is running, or was when an earlier process ended."""
        return any(trial.task == self._task for trial in self._record.running.values())

    def planned_on(self, hidden: HiddenTask) -> int:
        """The number of trials of the confirmation on a hidden task; the director must be done."""
        return self._follow_up.planned_on(hidden)

    def confirm_on(self, hidden: HiddenTask) -> None:
        """Hand out the confirmation on a hidden task from now on; the director must be done."""
        self._task = hidden.name
        self._follow_up.confirm_on(hidden)

    def next(self) -> Assignment | None:
        """The next assignment, or None if there is none now: call again after a report, or soon."""
        if self._record.course.paused:
            return None
        if restart := next((name for name in self._restarts if self._is_due(name)), None):
            self._restarts.remove(restart)
            trial = self._record.trials[restart]
            return self._trials.resume(trial, trial.due, trial.due_on)
        if self._searching:
            finishing = self._record.course.finishing
            if not finishing and (assignment := self._next_of_search()):
                return assignment
            if self._running or (not finishing and self._proposal_may_come):
                return None
            self._end_search()
        if planned := self._follow_up.next(idle=not self._running):
            branch, assignment = planned
            return self._trials.start(assignment, branch=branch, number=None)
        return None

    def _is_due(self, name: str) -> bool:
        return self._record.trials[name].task == self._task

    def _end_search(self) -> None:
        self._searching = False
        for name in self._exploration.paused():
            self._trials.prune(self._record.trials[name], "the search ended before its turn came")

    @property
    def _proposal_may_come(self) -> bool:
        """Whether another proposal may come while new trials may still start."""
        return self._exploration.new_left > 0 and (
            self._rounds.pending or self._rounds.due(self._exploration.used_up, self._trained)
        )

    @property
    def _trained(self) -> float:
        """The share of the search's training so far; infinite once the round has nothing left to train."""
        return math.inf if self._round_is_over else self._exploration.spent

    def _next_of_search(self) -> Assignment | None:
        """The search's next assignment: a new method, or a paused trial to its next rung."""
        if self._exploration.new_left and (
            proposal := self._rounds.take(self._exploration.used_up, self._trained)
        ):
            self._accept(proposal)
        self._take_draws()
        match self._step():
            case Draw() as draw:
                share, task = self._exploration.first_step(draw.method)
                assignment = Assignment(
                    trial=f"t{self._exploration.started + 1:05d}",
                    purpose="search",
                    method=draw.method,
                    seed=self._config.search_seed(self._record.branches[draw.branch].round),
                    rungs=(share,),
                    on=(task,),
                )
                number = self._studies.of(draw.branch).start(draw)
                return self._trials.start(assignment, branch=draw.branch, number=number, by=draw.by)
            case TrialRecord() as trial:
                return self._trials.resume(trial, *self._exploration.next_step(trial))
        return None

    def _step(self) -> Draw | TrialRecord | None:
        """What to train next. A round trains its own trials only, unless the proposer is slow."""
        trials = self._config.search.trials
        by_now = min(trials, self._record.rounds * self._config.search.round_trials)
        step = self._exploration.next(
            more_to_come=by_now < trials or self._proposal_may_come, max_started=by_now
        )
        if step is None and by_now < trials:
            self._round_is_over = True
            if self._rounds.pending or not self._proposal_may_come:
                step = self._exploration.next(more_to_come=self._proposal_may_come, max_started=trials)
        return step

    # Proposals

    def _take_draws(self) -> None:
        """Record the draws that the agent has named, and ask for more where that is due."""
        explored = self._exploration
        if explored.new_left:
            events = self._draws.take(explored.beliefs, explored.used_up, waiting=explored.named_waiting)
            for event in events:
                self._run.ledger.append(event)

    def _accept(self, proposed: TimedProposal) -> None:
        """Start a round with the branches that pass the checks; log what is wrong with the others."""
        number = self._record.rounds + 1
        proposal, problems = checked(self._config, self._record, proposed.round_proposal.proposal)
        for problem in problems:
            log.warning("round %d: %s", number, problem)
        if not proposal.branches and not self._record.branches:
            raise SearchFailedError("the first proposal has no branch that can run; see the warnings above")
        folder = self._run.directory / "rounds" / f"{number:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "proposal.json").write_text(proposal.model_dump_json(indent=2) + "\n")
        for event in round_events(number, proposed.round_proposal, problems):
            self._run.ledger.append(event)
        self._run.ledger.append(Proposed(round=number, proposal=proposal, seconds=proposed.seconds))
        self._round_is_over = False

    # What comes back

    def report(
        self, rung: RungReached, micro_batches: Sequence[int] = (), task: str = ""
    ) -> Literal["continue", "stop"]:
        """Grade and record a rung that a trial reached. Returns whether the trial goes on at once.

        rung: without a score. micro_batches: the sizes that the trial was reduced to on its way. task: of
        several searched tasks the one it is of. A trial that is not running stops. A rung that the trial
        reached before is not graded again: the trial lost its checkpoint and restarted.
        """
        trial = self._record.trials[rung.trial]
        if rung.trial not in self._record.running:
            return "stop"
        for micro_batch in micro_batches:
            self._run.ledger.append(MicroBatchHalved(trial=rung.trial, micro_batch=micro_batch))
        if not self._trials.reach(trial, rung, task):
            return "continue"
        return self._decide(trial)

    def _decide(self, trial: TrialRecord) -> Literal["continue", "stop"]:
        """Decide on a trial at the last rung it reached, and record the decision."""
        if trial.last is not None and trial.last.share >= 1:
            self._trials.end(trial, "completed", None)
            return "stop"
        if trial.purpose != "search":
            return "continue"
        if self._is_stopped(trial):
            self._trials.prune(trial, STOPPED)
        elif trial.due not in trial.rungs and trial.due_on:  # other tasks come first
            self._pause(trial)
        elif (judgement := self._judging.judgement(trial.trial)).decision == "stop":
            trials = judgement.rivals + 1
            self._trials.prune(trial, f"unlikely to be among the best of its branch there (of {trials})")
        elif trial.last is not None and trial.last.share < trial.due:
            return "continue"
        else:
            self._pause(trial)
        return "stop"

    def _pause(self, trial: TrialRecord) -> None:
        self._trials.pause(trial)
        self._end_surplus()

    def _end_surplus(self) -> None:
        """End paused trials at rungs that hold more than search.promotion.waiting."""
        limit = self._config.search.promotion.waiting
        while name := self._exploration.surplus():
            self._trials.prune(self._record.trials[name], f"only {limit} trials may pause there")

    def out_of_memory(self, name: str, micro_batch: int) -> None:
        """Record that a trial ran out of memory; it restarts with a smaller micro-batch."""
        self._run.ledger.append(MicroBatchHalved(trial=name, micro_batch=micro_batch))
        self._restarts.append(name)

    def failed(self, name: str, cause: str, *, judged: bool = True) -> None:
        """Record that a trial failed. Raises SearchFailedError if the first trials all failed.

        judged: False if its workers are to blame, not its method.
        """
        if name in self._record.running:
            self._trials.end(self._record.trials[name], "failed", cause, judged=judged)
        failed = self._record.tally("search").ended["failed"]
        if failed >= MAX_EARLY_FAILURES and not self._judging.any_rung_reached:
            raise SearchFailedError(
                f"the first {MAX_EARLY_FAILURES} trials all failed, the last because: {cause}"
            )

    def lost(self, name: str, cause: str, node: str | None, *, begun: bool) -> None:
        """Record that a trial lost its worker. The trial restarts, or fails after too many restarts.

        begun: whether the trial had begun in that worker. Raises SearchFailedError if the run has lost too
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
            self.failed(name, cause, judged=False)
        else:
            self._restarts.append(name)
