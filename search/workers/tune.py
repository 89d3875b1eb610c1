"""The search on Ray Tune: a single Tuner, warm workers, and adapters that translate for the director."""

import errno
import logging
import os
import re
import shutil
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

from cluster.environment import hidden, is_secret
from cluster.patience import Patience
from search.engine.director import Director
from search.ledger.events import RungReached
from search.policy.faults import DISK_FULL, Phase, Watchdog
from search.workers.member import Work
from search.workers.trial_runner import TrialRunner, UnfitWorkerError
from trainers.scratch import scratch_folder
from trainers.training.deepspeed_engine import reusable

log = logging.getLogger(__name__)

MIN_FREE_BYTES = 2**20  # with less free space a disk counts as full


class _NotPickled:
    """Pickles without its state: Tune pickles its experiment, but a run resumes from its ledger."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _FirstError(_NotPickled):
    """Keeps the first error of the director: Tune replaces it by the text of a traceback."""

    def __init__(self) -> None:
        self.first: Exception | None = None

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record an exception of the block, and raise it on."""
        try:
            yield
        except Exception as error:
            self.first = self.first or error
            raise


class _DirectorSearcher(_NotPickled, Searcher):
    """Hands the director's assignments to Tune."""

    def __init__(self, director: Director, errors: _FirstError, every_step: Callable[[], None]) -> None:
        super().__init__()  # without a metric: a failed trial reports none, and Tune would reject that
        self._director = director
        self._errors = errors
        self._every_step = every_step

    def suggest(self, trial_id: str) -> Any:  # Tune's own annotation leaves FINISHED out
        """The next assignment. FINISHED: there are no more; None: there is none now."""
        with self._errors.recorded():
            assignment = self._director.next()
        if assignment is None:
            self._every_step()  # while nothing runs, Tune asks repeatedly within a turn of its loop
            return Searcher.FINISHED if self._director.done else None
        return {"assignment": assignment.model_dump_json(), "trial": assignment.trial}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Do nothing: the scheduler receives the result too."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: a run resumes from its ledger."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing, see save."""


class _DirectorScheduler(_NotPickled, FIFOScheduler):
    """Passes results to the director and its decisions to Tune; kills workers that are silent too long."""

    def __init__(
        self, director: Director, errors: _FirstError, begun: set[str], work: Work, concurrent: int
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Ray has no types
        self._workers_to_keep = concurrent
        self._director = director
        self._errors = errors
        self._begun = begun
        self._run_dir = work.checkpoints.parent
        self._work = work
        self._config = work.config
        self._watchdog = Watchdog(work.config.faults, time.monotonic)
        self._killed: dict[str, str] = {}  # why, by Tune's trial
        self._nothing_runs: Patience | None = None

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Return None, as Tune starts trials in order. Called after every event, it kills silent workers.

        Raises WaitTooLongError if there is no place in the cluster for any trial.
        """
        trials = [trial for trial in tune_controller.get_live_trials() if not trial.is_finished()]
        workers = {
            trial.trial_id: (trial, worker)
            for trial in trials
            if (worker := _worker(tune_controller, trial)) is not None
        }
        late = self._watchdog.overdue({name: _phase(trial) for name, (trial, _) in workers.items()})
        for name, why in late.items():
            self._killed[name] = why
            ray.kill(workers[name][1])
        if trials:
            self._keep_workers(tune_controller, trials[0])
        if workers or not trials:
            self._nothing_runs = None
        else:
            with self._errors.recorded():
                self._wait_for_cluster(trials[0])

    def _keep_workers(self, tune_controller: Any, trial: Trial) -> None:
        """Have Tune keep every idle worker for the next trial, as all trials need the same resources.

        While no trial is pending, as when the next proposal is awaited, it would keep one and end the others,
        and a new worker spends seconds on imports, minutes on loading a large model.
        """
        if self._workers_to_keep:
            cache = tune_controller._tune_controller._actor_cache
            cache.increase_max(trial.placement_group_factory, by=self._workers_to_keep)
            self._workers_to_keep = 0

    def _wait_for_cluster(self, trial: Trial) -> None:
        needs = self._config.trial
        times = f"{needs.processes} x " if needs.processes > 1 else ""
        self._nothing_runs = self._nothing_runs or Patience(
            f"room in the cluster for trial {trial.config['trial']} ({times}{needs.needs})",
            self._config.faults.cluster_limit_s,
            "faults.cluster_limit_s",
            "add the nodes or free them, then resume",
        )
        self._nothing_runs.check()

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Stop or continue, as the director decides."""
        self._watchdog.reset(trial.trial_id)
        name = trial.config["trial"]
        if "failure" in result:
            with self._errors.recorded():
                _stop_if_full(result["failure"], self._run_dir)
                if result["micro_batch"] is None:
                    self._director.failed(name, result["failure"])
                else:
                    self._director.out_of_memory(name, result["micro_batch"])
            return TrialScheduler.STOP
        rung = RungReached.model_validate_json(result["rung"])
        with self._errors.recorded():
            decision = self._director.report(rung, result["micro_batches"], result.get("task", ""))
        return TrialScheduler.STOP if decision == "stop" else TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Report a lost worker. The director, not Tune, decides whether its trial restarts."""
        self._work.worker_lost()
        traceback = Path(trial.error_file).read_text() if trial.error_file else ""
        killed = self._killed.get(trial.trial_id)
        with self._errors.recorded():
            self._director.lost(
                trial.config["trial"],
                killed or _reason(traceback),
                trial.node_ip or _first_group(r"\bip: (\S+)", traceback),
                begun=killed is not None or trial.trial_id in self._begun,
            )


def _worker(tune_controller: Any, trial: Trial) -> Any:
    """The actor that has a trial, also while it starts; None while the trial waits for its resources.

    Tune tells schedulers of actors that have started only.
    """
    controller = tune_controller._tune_controller
    actors = controller._actor_manager._live_actors_to_ray_actors_resources
    actor, _ = actors.get(controller._trial_to_actor.get(trial), (None, None))
    return actor


def _phase(trial: Trial) -> Phase:
    return "training" if trial.status == Trial.RUNNING else "starting"


def _stop_if_full(failure: str, folder: Path) -> None:
    """Raise OSError if a trial failed because the run's disk is full: the run ends, and resuming restarts it.

    PyTorch reports a full disk with an error of its own, so the free space is checked too.
    """
    named = re.match(r"OSError: \[Errno (\d+)\]", failure)
    if (named and int(named.group(1)) in DISK_FULL) or shutil.disk_usage(folder).free < MIN_FREE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _reason(traceback: str) -> str:
    """Why Ray lost a worker, in one line: how the process ended, or what it raised."""
    lines = traceback.strip().splitlines() or ["the cause is unknown"]
    raised = lines[-1].rpartition(f"{UnfitWorkerError.__name__}: ")[2]
    detail = _first_group(r"Worker exit detail: (.*?\.(?: .*?\.)?) ", traceback) or raised
    return f"its worker was lost: {detail[:300]}"


def _first_group(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match.group(1) if match else None


class _AllDone(Exception):
    """Ends Tune's loop at once: otherwise Tune writes, then reads, the state of every trial."""


class _EveryStep(_NotPickled, tune.Callback):
    """Calls `callback` at the beginning of each turn of Tune's loop: a safe point to redraw and to stop.

    begun: filled with the ids of Tune's trials that began in a worker.
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

    concurrent: trials at once. trainable: runs a trial; None for TrialRunner with `work`.
    every_step: called between events, about ten times a second; an exception it raises ends the run.
    Exceptions of the director are raised unchanged; RuntimeError if Tune itself fails.
    """
    errors = _FirstError()
    with scratch_folder() as scratch:
        tuner = _tuner(director, work, concurrent, every_step, trainable, errors, scratch)
        # Tune hands AWS' credentials, where it sees them, to every worker, and Ray writes them into a log.
        secrets = [name for name in os.environ if is_secret(name)]
        try:
            with hidden(secrets):
                tuner.fit()
        except _AllDone:
            pass
        except tune.TuneError as error:
            lines = str(error).strip().splitlines() or ["for a reason it does not give"]
            raise errors.first or RuntimeError(f"Ray Tune failed: {lines[-1]}") from error


def _tuner(
    director: Director,
    work: Work,
    concurrent: int,
    every_step: Callable[[], None],
    trainable: type[tune.Trainable] | None,
    errors: _FirstError,
    scratch: Path,
) -> tune.Tuner:
    begun: set[str] = set()
    needs = work.config.trial
    runner = trainable or tune.with_parameters(TrialRunner, work=work)
    bundles = [needs.needs.resources] * needs.processes
    return tune.Tuner(
        tune.with_resources(runner, tune.PlacementGroupFactory(bundles, **needs.placement)),
        tune_config=tune.TuneConfig(
            search_alg=_DirectorSearcher(director, errors, every_step),
            scheduler=_DirectorScheduler(director, errors, begun, work, concurrent),
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


def _trial_name(trial: Trial) -> str:
    return str(trial.config["trial"])
