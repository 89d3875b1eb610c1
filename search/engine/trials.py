"""The life of a trial in the ledger: started, paused, ended."""

import shutil

from search.engine.assignment import Assignment
from search.engine.context import RunContext
from search.ledger.events import EndState, TrialEnded, TrialPaused, TrialStarted
from search.ledger.trial_record import TrialRecord


class Trials:
    """Writes the events of trials. Objects that keep state about trials listen to the ledger."""

    def __init__(self, run: RunContext) -> None:
        self._ledger = run.ledger
        self._checkpoints = run.directory / "checkpoints"

    def start(self, assignment: Assignment, *, branch: str, number: int | None) -> Assignment:
        """Record that a worker gets an assignment. number: in its branch's study, None outside a study."""
        self._ledger.append(
            TrialStarted(
                trial=assignment.trial,
                purpose=assignment.purpose,
                branch=branch,
                number=number,
                method=assignment.method,
                seed=assignment.seed,
                share=assignment.rungs[-1],
                task=assignment.task,
            )
        )
        return assignment

    def resume(self, trial: TrialRecord, share: float) -> Assignment:
        """Record that a trial, paused or lost by its worker, trains on to this share; its assignment."""
        assignment = Assignment(
            trial=trial.trial,
            purpose=trial.purpose,
            method=trial.method,
            seed=trial.seed,
            rungs=(share,),
            micro_batch=trial.micro_batch,
            task=trial.task,
        )
        return self.start(assignment, branch=trial.branch, number=trial.number)

    def pause(self, trial: TrialRecord) -> None:
        """Record that a trial paused at its rung."""
        self._ledger.append(TrialPaused(trial=trial.trial))

    def prune(self, trial: TrialRecord, why: str) -> None:
        """Record that a trial is pruned at the rung it reached."""
        assert trial.last is not None
        at = f"PGR {trial.last.pgr:.3f} at {trial.last.share:.2f} of its training"
        self.end(trial, "pruned", f"{at}: {why}")

    def end(self, trial: TrialRecord, state: EndState, cause: str | None, *, judged: bool = True) -> None:
        """Record that a trial ended, and delete its checkpoints. judged: see TrialEnded."""
        self._ledger.append(TrialEnded(trial=trial.trial, state=state, cause=cause, judged=judged))
        shutil.rmtree(self._checkpoints / trial.trial, ignore_errors=True)
