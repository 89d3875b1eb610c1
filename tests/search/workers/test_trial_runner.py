"""Trials of two processes through the whole search, and what the workers share."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import ray

from cluster.runtime import ray_runtime
from search.ledger.events import RungReached
from search.ledger.log import read_ledger
from search.ledger.record import Record
from search.workers.gang import watched
from search.workers.shared_arrays import SharedArrays
from tests.small_runs.settings import REPO, SMALL_TASK

SETTINGS = (
    *SMALL_TASK,
    "search={trials: 2, round_trials: 2}",
    "replication={methods: 1, seeds: 1}",
    "confirm={finalists: 1, seeds: 2}",
    "trial={cpus: 1, processes: 2}",
    "tracking.kind=off",
)


def kill_a_peer(run: Path, ended: threading.Event) -> list[int]:
    """Kill the second process of the first trial that has reached a rung; returns its process id."""
    while not ended.is_set():
        ledger = run / "ledger.jsonl"
        reached = ledger.exists() and any(isinstance(event, RungReached) for event in read_ledger(ledger))
        for process in psutil.process_iter(["cmdline"]):
            if reached and "ray::_Peer" in " ".join(process.info["cmdline"] or []):
                os.kill(process.pid, signal.SIGKILL)
                return [process.pid]
        time.sleep(0.1)
    return []


@pytest.mark.slow
def test_a_gang_trains_through_the_search_and_survives_the_death_of_a_member(
    warm: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    killed: list[int] = []
    ended = threading.Event()
    killer = threading.Thread(target=lambda: killed.extend(kill_a_peer(run, ended)))
    killer.start()
    settings = [part for one in (*SETTINGS, f"cache={warm}") for part in ("--set", one)]
    command = [sys.executable, "-m", "search", "run", "configs/dev.yaml", *settings, "--out", str(run)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=280)
    ended.set()
    killer.join()
    assert done.returncode == 0, done.stderr
    assert killed, "no second process was seen"
    outcome = json.loads((run / "result.json").read_text())
    assert outcome["trials"]["failed"] == 0
    record = Record.of(read_ledger(run / "ledger.jsonl"))
    assert all(trial.state in ("completed", "pruned") for trial in record.trials.values())
    assert not list((run / "checkpoints").glob("*"))


@pytest.fixture(scope="module")
def on_ray() -> Iterator[None]:
    with ray_runtime():
        yield


@ray.remote(num_cpus=0)
class Member:
    """A process that waits for another, in code that does not notice its end."""

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def live(self) -> None:
        time.sleep(60)

    def wait_for(self, parts: list[ray.ObjectRef]) -> str:
        with watched(parts, patience_s=0.5):
            time.sleep(3)
        return "went on"


@pytest.mark.slow
def test_a_process_that_waits_for_a_dead_member_ends_and_for_a_living_one_does_not(on_ray: None) -> None:
    first, other, living = Member.remote(), Member.remote(), Member.remote()
    assert ray.get(first.wait_for.remote([living.live.remote()]), timeout=60) == "went on"
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(first.wait_for.remote([other.die.remote()]), timeout=60)


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
