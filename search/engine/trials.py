"""The life of a trial in the ledger: started, at a rung, paused, ended."""

import shutil
from collections.abc import Callable, Mapping
from statistics import fmean
from typing import TypeVar

from search.engine.assignment import Assignment
from search.engine.context import RunContext
from search.ledger.events import (
    DrawnBy,
    EndState,
    RungReached,
    TaskReached,
    TrialEnded,
    TrialPaused,
    TrialStarted,
    now,
)
from search.ledger.trial_record import TrialRecord
from search.scoring.grader import Score
from search.scoring.several_tasks import GradedSplit, SeveralTasks

AReached = TypeVar("AReached", RungReached, TaskReached)
Grade = Callable[[RungReached | TaskReached], Score]


class Trials:
    """Writes the events of trials. Objects that keep state about trials listen to the ledger."""

    def __init__(self, run: RunContext, grade: Grade) -> None:
        """grade: scores what a trial reached, over all tasks or on the one it is of."""
        self._grade = grade
        self._several = run.several
        self._ledger = run.ledger
        self._searched = tuple(run.config.searched)
        self._checkpoints = run.directory / "checkpoints"

    def start(
        self, assignment: Assignment, *, branch: str, number: int | None, by: DrawnBy = "sampler"
    ) -> Assignment:
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
                on=assignment.on[0] if len(assignment.on) == 1 else "",
                by=by,
            )
        )
        return assignment

    def resume(self, trial: TrialRecord, share: float, on: str = "") -> Assignment:
        """Record that a trial, paused or lost by its worker, trains on to this share; its assignment.

        on: of several searched tasks the one to train on; empty for all that it has not trained on so far.
        """
        there = trial.reached_on(share)
        left = [task for task in self._searched if task not in there] if not trial.task else [""]
        assignment = Assignment(
            trial=trial.trial,
            purpose=trial.purpose,
            method=trial.method,
            seed=trial.seed,
            rungs=(share,),
            micro_batch=trial.micro_batch,
            task=trial.task,
            on=(on,) if on else tuple(left),
        )
        return self.start(assignment, branch=trial.branch, number=trial.number, by=trial.by)

    def reach(self, trial: TrialRecord, rung: RungReached, task: str = "") -> bool:
        """Grade and record what a trial reached. task: of several searched tasks the one it is of.

        False where it had been there before: it lost its checkpoint and restarted. Nothing is graded then.
        """
        if (trial.last and rung.share <= trial.last.share) or (rung.share, task) in trial.on_tasks:
            return False
        if task:
            there = rung.model_dump(exclude={"event"})
            self._ledger.append(self._graded(trial, TaskReached(**there, task=task)))
            self.complete(trial)
        else:
            self._ledger.append(self._graded(trial, rung))
        return True

    def complete(self, trial: TrialRecord) -> None:
        """Record that a trial is at a rung on all of several tasks, if it is and nothing says so yet."""
        there = trial.reached_on(trial.due)
        if self._several is None or trial.due in trial.rungs or len(there) < len(self._several.names):
            return
        whole = together(self._several, there, "test" if trial.confirms else "search")
        self._ledger.append(self._graded(trial, whole))

    def _graded(self, trial: TrialRecord, reached: AReached) -> AReached:
        """With its score. Predictions on the test split stay ungraded until it is opened."""
        update: dict[str, float] = {"at": now()}  # the worker's clock may differ
        if not trial.confirms:
            score = self._grade(reached)
            update |= {"accuracy": score.accuracy, "pgr": score.pgr, "se": score.se}
        return reached.model_copy(update=update)

    def pause(self, trial: TrialRecord) -> None:
        """Record that a trial paused at its rung."""
        self._ledger.append(TrialPaused(trial=trial.trial))

    def prune(self, trial: TrialRecord, why: str) -> None:
        """Record that a trial is pruned at the rung it reached."""
        self.end(trial, "pruned", f"{_shown(trial)}: {why}")

    def end(self, trial: TrialRecord, state: EndState, cause: str | None, *, judged: bool = True) -> None:
        """Record that a trial ended, and delete its checkpoints. judged: see TrialEnded."""
        self._ledger.append(TrialEnded(trial=trial.trial, state=state, cause=cause, judged=judged))
        shutil.rmtree(self._checkpoints / trial.trial, ignore_errors=True)


def _shown(trial: TrialRecord) -> str:
    """What a trial has shown last, in words."""
    if trial.last is not None:
        return f"PGR {trial.last.pgr:.3f} at {trial.last.share:.2f} of its training"
    (share, task), reached = max(trial.on_tasks.items(), key=lambda item: item[1].at)
    return f"PGR {reached.pgr:.3f} on {task} at {share:.2f} of its training"


def together(several: SeveralTasks, there: Mapping[str, TaskReached], split: GradedSplit) -> RungReached:
    """A trial at a rung on all of several tasks, from what it reached on each. split: that is predicted.

    Losses are means over the tasks, of as many parts as all of them have.
    """
    parts = [there[name] for name in several.names]
    return RungReached(
        trial=parts[0].trial,
        share=parts[0].share,
        predictions=several.joined({name: one.predictions for name, one in there.items()}, split),
        setup_s=sum(part.setup_s for part in parts),
        train_s=sum(part.train_s for part in parts),
        eval_s=sum(part.eval_s for part in parts),
        shared_s=sum(part.shared_s for part in parts),
        losses=tuple(map(fmean, zip(*(part.losses for part in parts), strict=False))),
        labels=parts[0].labels,
        engine=parts[0].engine,
    )
