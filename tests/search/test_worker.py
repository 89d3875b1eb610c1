"""Trials of two processes through the whole search, and what the workers share."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray

from benchmarks.fault_runs import SMALL_TASK
from cluster.runtime import ray_runtime
from search.ledger import read_ledger
from search.record import Record
from search.sharing import SharedArrays

REPO = Path(__file__).parents[2]
SETTINGS = (
    *SMALL_TASK,
    "task.splits={weak_train: 300, transfer: 300, search: 200, test: 200}",
    "search={trials: 4, round_trials: 4}",
    "replication={methods: 1, seeds: 1}",
    "confirm={finalists: 1, seeds: 2}",
    "trial={cpus: 1, processes: 2}",
)


@pytest.mark.slow
def test_a_gang_trains_through_the_search(cache: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = [part for one in (*SETTINGS, f"cache={cache}") for part in ("--set", one)]
    command = [sys.executable, "-m", "search", "run", "configs/dev.yaml", *settings, "--out", str(run)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    outcome = json.loads((run / "result.json").read_text())
    assert outcome["trials"]["failed"] == 0
    record = Record.of(read_ledger(run / "ledger.jsonl"))
    assert all(trial.state in ("completed", "pruned") for trial in record.trials.values())
    assert not list((run / "checkpoints").glob("*"))


@pytest.fixture(scope="module")
def on_ray() -> Iterator[None]:
    with ray_runtime():
        yield


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
