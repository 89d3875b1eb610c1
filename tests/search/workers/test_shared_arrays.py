import os
import signal
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import ray

from search.workers import shared_arrays
from search.workers.shared_arrays import SharedArrays


@pytest.mark.slow
def test_what_workers_share_is_computed_once(on_ray: None, tmp_path: Path) -> None:
    shared = SharedArrays()

    @ray.remote(num_cpus=0)
    def worker(number: int) -> list[int]:
        def compute() -> np.ndarray:
            (tmp_path / f"computed-by-{number}").touch()
            time.sleep(0.5)
            return np.arange(4)

        return shared("features", compute).tolist()

    assert ray.get([worker.remote(number) for number in range(3)]) == [[0, 1, 2, 3]] * 3
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
def test_when_computing_fails_it_is_the_next_workers_turn(on_ray: None) -> None:
    shared = SharedArrays()

    def fails() -> np.ndarray:
        raise ValueError("no memory")

    with pytest.raises(ValueError, match="no memory"):
        shared("prior", fails)
    assert shared("prior", lambda: np.zeros(2)).tolist() == [0, 0]
    assert shared("prior", fails).tolist() == [0, 0]


@pytest.mark.slow
def test_nobody_waits_for_a_worker_that_was_lost_while_it_computed(on_ray: None) -> None:
    shared = SharedArrays()

    @ray.remote(num_cpus=0, max_retries=0)
    def dies() -> None:
        shared("features", lambda: os._exit(1))  # type: ignore[arg-type]

    @ray.remote(num_cpus=0)
    def waits() -> list[int]:
        return shared("features", lambda: np.arange(2)).tolist()

    with pytest.raises(ray.exceptions.WorkerCrashedError):
        ray.get(dies.remote())
    waiting = [waits.remote() for _ in range(2)]
    assert ray.wait(waiting, timeout=3)[0] == []
    shared.worker_lost()
    assert ray.get(waiting, timeout=60) == [[0, 1]] * 2


@pytest.mark.slow
def test_a_worker_goes_on_without_a_store_that_has_stopped(
    on_ray: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shared = SharedArrays()
    assert shared("prior", lambda: np.zeros(2)).tolist() == [0, 0]
    monkeypatch.setattr(shared_arrays, "COMPUTE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(shared_arrays, "MARGIN_S", 0.3)
    stores = [
        process
        for process in psutil.Process().children(recursive=True)
        if "ray::_ArrayStore" in " ".join(process.cmdline())
    ]
    for store in stores:  # those of the other tests too
        os.kill(store.pid, signal.SIGSTOP)
    try:
        assert shared("prior", lambda: np.ones(2)).tolist() == [1, 1]
        assert shared("features", lambda: np.ones(1)).tolist() == [1]
    finally:
        for store in stores:
            os.kill(store.pid, signal.SIGCONT)
    assert [line for line in caplog.messages if "store" in line] == [
        "the store of shared arrays did not answer within 0.5 s: going on without it"
    ]
