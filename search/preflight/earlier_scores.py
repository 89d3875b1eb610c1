"""What earlier runs scored (`from_runs`), for the surrogate of a new search to begin with."""

from collections.abc import Sequence

import numpy as np

from search.config.schema import RunConfig
from search.engine.compared.transfer import transferred
from search.ledger.earlier import EarlierScore, EarlierScored, EarlierTask
from search.ledger.events import Reached
from search.ledger.trial_record import TrialRecord
from search.preflight.earlier import EarlierRun, read_earlier


def scores_of_runs(config: RunConfig) -> EarlierScored | None:
    """The scores of the runs that a config names, as far as it wants them; None where it names none.

    Raises ValueError, on one line, where a run cannot be read, and where its scores may tell of test examples
    or hidden tasks of this one.
    """
    if not config.from_runs:
        return None
    return earlier_scored([read_earlier(directory, config) for directory in config.from_runs], config)


def earlier_scored(runs: Sequence[EarlierRun], config: RunConfig) -> EarlierScored:
    """At most `from_runs_scores` scores of some runs, at random, as many of each of their tasks.

    Of every rung that a trial of their searches reached on a task.
    """
    found = [task for run in runs for task in _tasks(run, config)]
    rng, kept, left = np.random.default_rng(config.seed), list[EarlierTask](), config.from_runs_scores
    for task in sorted(found, key=lambda task: len(task.scores)):  # what small ones leave is for the others
        room = left // (len(found) - len(kept))
        chosen = sorted(rng.permutation(len(task.scores))[:room])
        kept.append(task.model_copy(update={"scores": tuple(task.scores[place] for place in chosen)}))
        left -= len(chosen)
    return EarlierScored(tasks=tuple(kept))


def _tasks(run: EarlierRun, here: RunConfig) -> list[EarlierTask]:
    """The scores of a run, a group for each task that it searched on."""
    return [
        EarlierTask(
            run=run.name,
            id=run.record.started.id if run.record.started else "",
            task=task,
            scores=tuple(
                EarlierScore(
                    method=transferred(trial.method, run.config, here), share=reached.share, pgr=reached.pgr
                )
                for trial in run.record.of_purpose("search")
                for reached in _reached(trial, task)
                if reached.pgr is not None
            ),
        )
        for task in run.config.searched
    ]


def _reached(trial: TrialRecord, task: str) -> list[Reached]:
    """The rungs of a trial on a task; a single one has no name."""
    if task:
        return [reached for (_, on), reached in trial.on_tasks.items() if on == task]
    return list(trial.rungs.values())
