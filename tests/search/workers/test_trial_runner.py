"""What a worker says of a trial that went wrong."""

import errno
from collections.abc import Iterator
from typing import Any

import pytest
import ray
import torch

from search.workers.trial_runner import TrialRunner, UnfitWorkerError


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
