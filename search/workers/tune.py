"""The search on Ray Tune: one Tuner, warm workers, and adapters that only translate for the director."""

import errno
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from search.engine.director import Director
from search.ledger.events import RungReached
from search.policy.faults import DISK_FULL, Watchdog
from search.workers.member import Work
from search.workers.trial_runner import TrialRunner, UnfitWorkerError
from trainers.training.deepspeed_engine import reusable

log = logging.getLogger(__name__)

ROOM = 2**20  # bytes; with less than this a disk counts as full


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
        super().__init__()  # no metric: Tune would refuse the report of a failed trial, which has none
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
    """Hands results to the director and its decisions to Tune; ends workers that are silent for too long."""

    def __init__(self, director: Director, errors: _Errors, begun: set[str], work: Work) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Ray has no types
        self._director = director
        self._errors = errors
        self._begun = begun
        self._run_dir = work.checkpoints.parent
        self._shared = work.shared
        self._step_limit_s = work.config.faults.step_limit_s
        self._watchdog = Watchdog(self._step_limit_s, time.monotonic)
        self._ended: set[str] = set()

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """None: Tune starts trials in their order. It asks between any two events, so here we look around."""
        working = {
            trial.trial_id: trial
            for trial in tune_controller.get_live_trials()
            if not trial.is_finished() and trial.temporary_state.ray_actor is not None
        }
        for late in self._watchdog.overdue(list(working)):
            self._ended.add(late)
            ray.kill(working[late].temporary_state.ray_actor)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Stop or continue, as the director says."""
        self._watchdog.reset(trial.trial_id)
        name = trial.config["trial"]
        if "failure" in result:
            with self._errors.kept():
                _stop_if_full(result["failure"], self._run_dir)
                if result["micro_batch"] is None:
                    self._director.failed(name, result["failure"])
                else:
                    self._director.out_of_memory(name, result["micro_batch"])
            return TrialScheduler.STOP
        rung = RungReached.model_validate_json(result["rung"])
        with self._errors.kept():
            stop = self._director.report(rung, result["micro_batches"]) == "stop"
        return TrialScheduler.STOP if stop else TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """A worker is lost; whether its trial starts again is the director's to say, not Tune's."""
        self._shared.worker_lost()
        said = Path(trial.error_file).read_text() if trial.error_file else ""
        cause = f"nothing was heard of it for faults.step_limit_s ({self._step_limit_s:g} s)"
        with self._errors.kept():
            self._director.lost(
                trial.config["trial"],
                cause if trial.trial_id in self._ended else _reason(said),
                trial.node_ip or _found(r"\bip: (\S+)", said),
                begun=trial.trial_id in self._begun,
            )


def _stop_if_full(failure: str, folder: Path) -> None:
    """Raise OSError where a trial failed as the disk of the run is full: it is to start again, not to fail.

    PyTorch tells a full disk in an error of its own, so what counts is the room there is.
    """
    named = re.match(r"OSError: \[Errno (\d+)\]", failure)
    if (named and int(named.group(1)) in DISK_FULL) or shutil.disk_usage(folder).free < ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _reason(said: str) -> str:
    """What Ray says of a worker's end, in a line: how the process ended, or what it raised."""
    lines = said.strip().splitlines() or ["nothing is known of it"]
    raised = lines[-1].rpartition(f"{UnfitWorkerError.__name__}: ")[2]
    detail = _found(r"Worker exit detail: (.*?\.(?: .*?\.)?) ", said) or raised
    return f"its worker was lost: {detail[:300]}"


def _found(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match.group(1) if match else None


class _AllDone(Exception):
    """Ends Tune's loop. By itself it would first write, and then read, the state of every trial there was."""


class _EveryStep(_Unsaved, tune.Callback):
    """Calls back at the beginning of each turn of Tune's loop: a safe place to redraw, and to stop.

    begun: Tune's trials whose worker was up and ready for them, kept up to date here.
    """

    def __init__(self, director: Director, begun: set[str], callback: Callable[[], None]) -> None:
        self._director = director
        self._begun = begun
        self._callback = callback

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._begun.add(trial.trial_id)

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._callback()
        if self._director.done:
            raise _AllDone


def run_trials(
    director: Director,
    work: Work,
    concurrent: int,
    every_step: Callable[[], None],
    trainable: type[tune.Trainable] | None = None,
) -> None:
    """Run until the director is done.

    concurrent: trials at once. trainable: what runs a trial; TrialRunner at `work` if it is None.
    every_step: called between events, about ten times a second; what it raises ends the run. What the
    director raises is raised as it is; RuntimeError if Tune itself fails.
    """
    errors = _Errors()
    begun: set[str] = set()
    scratch = Path(tempfile.mkdtemp(prefix="weak-to-strong-"))
    needs = work.config.trial
    runner = trainable or tune.with_parameters(TrialRunner, work=work)
    tuner = tune.Tuner(
        tune.with_resources(runner, tune.PlacementGroupFactory([needs.needs.resources] * needs.processes)),
        tune_config=tune.TuneConfig(
            search_alg=_Suggestions(director, errors, every_step),
            scheduler=_Decisions(director, errors, begun, work),
            max_concurrent_trials=concurrent,
            num_samples=-1,
            reuse_actors=reusable(work.config.engine),
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(scratch),
            callbacks=[_EveryStep(director, begun, every_step)],
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    except _AllDone:
        pass
    except tune.TuneError as error:
        lines = str(error).strip().splitlines() or ["for a reason it does not give"]
        raise errors.first or RuntimeError(f"Ray Tune failed: {lines[-1]}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _trial_name(trial: Trial) -> str:
    return str(trial.config["trial"])
