"""Workers that are lost, told by a real Tuner to a real director."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

from search.ledger.log import read_ledger
from search.policy.faults import FaultConfig
from search.workers.member import Work
from search.workers.remote_grader import RemoteGrader
from search.workers.shared_arrays import SharedArrays
from search.workers.trial_runner import TrialRunner, UnfitWorkerError
from search.workers.tune import run_trials
from tests.small_runs.no_training import NoTraining
from tests.small_runs.untrained import begun, configured, labels, new_director

TRIALS = 4


def lossy(marks: Path) -> type[NoTraining]:
    """Workers that die at the reset to t00002, and later at a step of t00003, once each."""

    class Lossy(NoTraining):
        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.trial = new_config["trial"]
            self.die_once("t00002")
            return super().reset_config(new_config)

        def step(self) -> dict[str, Any]:
            self.die_once("t00003")
            return super().step()

        def die_once(self, trial: str) -> None:
            if self.trial == trial and not (marks / trial).exists():
                (marks / trial).touch()
                os._exit(1)

    return Lossy


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_only_a_worker_in_which_a_trial_had_begun_counts_against_its_retries(tmp_path: Path) -> None:
    config = configured(TRIALS, workers=1).model_copy(update={"faults": FaultConfig(retries=0)})
    record, ledger = begun(tmp_path)
    director = new_director(config, tmp_path, record, ledger, RemoteGrader(labels(), labels()))
    work = Work(config=config, materials=None, shared=SharedArrays(), checkpoints=tmp_path)  # type: ignore[arg-type]
    run_trials(director, work, 1, lambda: None, lossy(tmp_path))
    director.close()
    ledger.close()
    events = read_ledger(tmp_path / "ledger.jsonl")
    lost = [(event.trial, event.begun) for event in events if event.event == "worker_lost"]
    assert lost == [("t00002", False), ("t00003", True)]
    states = [trial.state for trial in record.of_purpose("search")]
    assert states.count("failed") == 1
    assert record.trials["t00003"].state == "failed"
    assert "its worker was lost" in str(record.trials["t00003"].cause)
    assert director.done


def test_what_a_trial_misses_of_ray_is_no_failure_of_its_own() -> None:
    """A failure is data; a lost process or object goes to Tune, which takes the worker for lost."""
    runner = TrialRunner.__new__(TrialRunner)
    runner._gang = None
    gone = ray.exceptions.ActorUnavailableError("connection refused", None)
    runner._reports = (_ for _ in [])  # an end where a report was due is an error like any other
    assert runner.step()["failure"].startswith("StopIteration")

    def broken() -> Any:
        raise gone
        yield

    runner._reports = broken()
    with pytest.raises(ray.exceptions.ActorUnavailableError, match="connection refused"):
        runner.step()


def fails_of(error: Exception) -> Iterator[Any]:
    raise error
    yield


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
        RuntimeError("No CUDA GPUs are available"),
        torch.distributed.DistNetworkError("connection reset by peer"),
        ImportError("libcudart.so.13: cannot open shared object file"),
        OSError(errno.EIO, "Input/output error"),
    ],
)
def test_an_error_of_the_worker_or_its_node_is_no_failure_of_the_trial(error: Exception) -> None:
    """After one of a device every later trial in the process would fail: it ends, the trial starts again."""
    runner = TrialRunner.__new__(TrialRunner)
    runner._gang, runner._reports = None, fails_of(error)
    with pytest.raises(UnfitWorkerError, match=f"{type(error).__name__}: ") as caught:
        runner.step()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        ValueError("CUDA is not what this is about"),
        OSError(errno.ENOSPC, "No space left on device"),  # the run's: study looks at its disk
    ],
)
def test_an_error_of_the_method_is_a_failure_of_the_trial(error: Exception) -> None:
    runner = TrialRunner.__new__(TrialRunner)
    runner._gang, runner._reports = None, fails_of(error)
    assert runner.step() == {"failure": f"{type(error).__name__}: {error}", "micro_batch": None}
