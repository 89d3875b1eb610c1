"""The trials of a run as they come and go: what happens is written down, then told to all who learn."""

import shutil
from collections import deque
from pathlib import Path

from agents.findings.predictions import unpack
from search.config.schema import RunConfig
from search.engine.assignment import Assignment
from search.engine.exploration import Exploration
from search.ledger.events import EndState, RungReached, TrialEnded, TrialPaused, TrialStarted
from search.ledger.log import Ledger
from search.ledger.record import Record, TrialRecord
from search.policy.pruning import Finding, Judge, seed_variance
from search.scoring.grader import Score, SearchGrader
from search.studies.studies import Studies


class Trials:
    """Starts, scores, pauses and ends trials: in the ledger first, then in Optuna and the exploration.

    running: the names of those at work. again: those to be given out once more, before any other.
    early_failures: trials that failed before any had reached a rung.
    """

    def __init__(
        self,
        *,
        config: RunConfig,
        run_dir: Path,
        ledger: Ledger,
        record: Record,
        studies: Studies,
        exploration: Exploration,
        gap: float,
        search_size: int,
    ) -> None:
        self.running: set[str] = set()
        self.again: deque[TrialRecord] = deque()
        self.early_failures = 0
        self._config = config
        self._checkpoints = run_dir / "checkpoints"
        self._ledger = ledger
        self._record = record
        self._studies = studies
        self._exploration = exploration
        self._judge = Judge(config.search.pruning, gap)
        self._search_size = search_size
        self._rungs = config.search.pruning.rungs

    # Starting

    def start(self, assignment: Assignment, *, branch: str, number: int | None) -> Assignment:
        """Take in that an assignment goes to a worker."""
        self._announce(assignment, branch=branch, number=number)
        self.running.add(assignment.trial)
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

    def restarted(self) -> Assignment:
        """The first of those to be given out once more: it and what it spent are known already."""
        trial = self.again.popleft()
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

    # At a rung, and at the end

    def counted(self, trial: TrialRecord, reached: RungReached, score: Score) -> Finding:
        """Let a score count in later decisions."""
        rung = self._rungs.index(reached.share)
        spread = seed_variance(self._config.search.pruning, self._record.baselines)
        finding = self._judge.look(trial.branch, rung, unpack(score.correct, self._search_size), spread)
        self._exploration.scored(trial, rung, score.pgr)
        return finding

    def pause(self, trial: TrialRecord) -> None:
        """Take in that a trial stops at its rung, to go on perhaps."""
        self._ledger.append(TrialPaused(trial=trial.trial))
        self.running.discard(trial.trial)

    def seat(self, trial: TrialRecord) -> None:
        """Have a paused trial wait; whoever has to leave for it ends."""
        reached = last(trial)
        assert reached.pgr is not None
        if crowded_out := self._exploration.paused(trial, self._rungs.index(reached.share), reached.pgr):
            places = self._config.search.promotion.waiting
            self.give_up(self._record.trials[crowded_out], f"the {places} places there went to others")

    def give_up(self, trial: TrialRecord, why: str) -> None:
        """End a trial that has reached a rung and shall not go on."""
        reached = last(trial)
        self.end(trial, "pruned", f"PGR {reached.pgr:.3f} at {reached.share:.2f} of its training: {why}")

    def fail(self, trial: TrialRecord) -> None:
        """Let a failure count in later decisions."""
        self._exploration.failed(trial, self._rungs.index(trial.due))
        self.early_failures += not self._judge.has_seen_any

    def end(self, trial: TrialRecord, state: EndState, cause: str | None) -> None:
        """The ledger first, then Optuna: a crash between the two is mended at the next start."""
        self._ledger.append(TrialEnded(trial=trial.trial, state=state, cause=cause))
        self.running.discard(trial.trial)
        self._studies.ended(trial)
        shutil.rmtree(self._checkpoints / trial.trial, ignore_errors=True)

    # After a crash

    def restore(self, grader: SearchGrader) -> None:
        """Count what the ledger tells, mend what the crash cut short, and bring Optuna level with it."""
        for name in self._record.branches:
            self._exploration.opened(name)
        self._recount(grader)
        self._studies.level()
        for trial in self._record.unfinished():
            if trial.paused:
                continue
            if trial.last and trial.last.share >= trial.due:
                self._conclude(trial)
            else:
                self.running.add(trial.trial)
                self.again.append(trial)
        for trial in self._record.unfinished():
            if trial.paused:
                self.seat(trial)

    def _recount(self, grader: SearchGrader) -> None:
        searched = list(self._record.of_purpose("search"))
        rungs = [(trial, rung) for trial in searched for rung in trial.rungs.values()]
        scores = grader.grade_many([rung.predictions for _, rung in rungs])
        for trial in searched:
            for rung in range(self._rungs.index(trial.due) + 1):
                self._exploration.went(trial, rung)
        for (trial, reached), score in zip(rungs, scores, strict=True):
            self.counted(trial, reached, score)
        for trial in searched:
            if trial.state == "failed":
                self.fail(trial)

    def _conclude(self, trial: TrialRecord) -> None:
        """A trial that reached its rung, though not what was to become of it there."""
        if trial.due >= 1:
            self.end(trial, "completed", None)
        else:
            self.pause(trial)


def last(trial: TrialRecord) -> RungReached:
    """The highest rung of a trial that has reached one."""
    assert trial.last is not None
    return trial.last
