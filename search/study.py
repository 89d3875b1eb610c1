"""The search on Ray Tune: one Tuner, warm workers, and adapters that only translate for the director."""

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from search.assignment import TrialReport
from search.director import Director
from search.worker import TrialRunner, Work
from trainers.engine import reusable

log = logging.getLogger(__name__)

WORKER_DEATHS = 2  # times a trial is started again after its worker died


class _Unsaved:
    """Stays out of Tune's pickle of an experiment: a run resumes from its ledger."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Errors(_Unsaved):
    """Keeps the first error of our own, which Tune would turn into the text of a traceback."""

    def __init__(self) -> None:
        self.first: Exception | None = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Remember what the block raises, and let it pass."""
        try:
            yield
        except Exception as error:
            self.first = self.first or error
            raise


class _Suggestions(_Unsaved, Searcher):
    """Hands the director's assignments to Tune."""

    def __init__(self, director: Director, errors: _Errors, every_step: Callable[[], None]) -> None:
        super().__init__(metric="share", mode="max")
        self._director = director
        self._errors = errors
        self._every_step = every_step

    def suggest(self, trial_id: str) -> Any:  # Tune's own annotation leaves FINISHED out
        """The next assignment, FINISHED when there will be none, None for "ask again"."""
        with self._errors.kept():
            assignment = self._director.next()
        if assignment is None:
            self._every_step()  # while nothing runs, Tune asks again and again within one turn of its loop
            return Searcher.FINISHED if self._director.done else None
        return {"assignment": assignment.model_dump_json(), "trial": assignment.trial}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: the scheduler has heard of it."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is what a run resumes from."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see save."""


class _Decisions(_Unsaved, FIFOScheduler):
    """Hands results to the director and its decisions to Tune."""

    def __init__(self, director: Director, errors: _Errors) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._director = director
        self._errors = errors

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Stop or continue, as the director says."""
        name = trial.config["trial"]
        if "failure" in result:
            with self._errors.kept():
                if result["micro_batch"] is None:
                    self._director.failed(name, result["failure"])
                else:
                    self._director.out_of_memory(name, result["micro_batch"])
            return TrialScheduler.STOP
        report = TrialReport(
            share=result["share"],
            predictions=result["predictions"],
            setup_s=result["setup_s"],
            train_s=result["train_s"],
            eval_s=result["eval_s"],
            micro_batches=tuple(result["micro_batches"]),
        )
        with self._errors.kept():
            stop = self._director.report(name, report) == "stop"
        return TrialScheduler.STOP if stop else TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """A trial whose worker died once too often."""
        lines = str(trial.get_pickled_error() or "").strip().splitlines()
        with self._errors.kept():
            self._director.failed(trial.config["trial"], lines[-1][:300] if lines else "the worker died")


class _EveryStep(_Unsaved, tune.Callback):
    """Calls back at the beginning of each turn of Tune's loop: a safe place to redraw, and to stop."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._callback()


def run_trials(director: Director, work: Work, concurrent: int, every_step: Callable[[], None]) -> None:
    """Run until the director is done.

    concurrent: trials at once. every_step: called between events, about ten times a second; what it raises
    ends the run. What the director raises is raised as it is; ray.tune.TuneError if Tune itself fails.
    """
    errors = _Errors()
    scratch = Path(tempfile.mkdtemp(prefix="weak-to-strong-"))
    needs = work.config.trial
    process = {"CPU": needs.cpus, "GPU": needs.gpus}
    trainable = tune.with_resources(
        tune.with_parameters(TrialRunner, work=work), tune.PlacementGroupFactory([process] * needs.processes)
    )
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=_Suggestions(director, errors, every_step),
            scheduler=_Decisions(director, errors),
            max_concurrent_trials=concurrent,
            num_samples=-1,
            reuse_actors=reusable(work.config.engine),
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(scratch),
            callbacks=[_EveryStep(every_step)],
            failure_config=tune.FailureConfig(max_failures=WORKER_DEATHS),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    except tune.TuneError:
        if errors.first is None:
            raise
        raise errors.first from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _trial_name(trial: Trial) -> str:
    return str(trial.config["trial"])
