"""Trials of two processes through the whole search."""

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from search.__main__ import main
from search.ledger.log import read_ledger
from search.ledger.record import Record
from search.workers.gang import Gang, exit_if_peer_ends
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
    ledger, reached = run / "ledger.jsonl", False
    while not ended.wait(0.1):
        reached = reached or (ledger.exists() and '"rung_reached"' in ledger.read_text())
        for process in psutil.process_iter(["cmdline"]) if reached else ():
            if "ray::_Peer" in " ".join(process.info["cmdline"] or []):
                os.kill(process.pid, signal.SIGKILL)
                return [process.pid]
    return []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_gang_trains_through_the_search_and_survives_the_death_of_a_member(
    warm: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    killed: list[int] = []
    ended = threading.Event()
    killer = threading.Thread(target=lambda: killed.extend(kill_a_peer(run, ended)))
    killer.start()
    settings = [part for one in (*SETTINGS, f"cache={warm}") for part in ("--set", one)]
    try:
        assert main(["run", str(REPO / "configs/dev.yaml"), *settings, "--out", str(run)]) == 0
    finally:
        ended.set()
        killer.join()
    assert killed, "no second process was seen"
    outcome = json.loads((run / "result.json").read_text())
    assert outcome["trials"]["failed"] == 0
    record = Record.of(read_ledger(run / "ledger.jsonl"))
    assert all(trial.state in ("completed", "pruned") for trial in record.trials.values())
    assert not list((run / "checkpoints").glob("*"))


@ray.remote(num_cpus=0)
class Member:
    """A process that waits for another, in code that does not notice its end."""

    def wait_for(self, parts: list[ray.ObjectRef], seconds: float) -> str:
        with exit_if_peer_ends(parts, timeout_s=0.5):
            time.sleep(seconds)
        return "went on"


def bystanders() -> Any:
    """Processes to wait for. Made in a function, the class travels by value: they need not import torch."""

    @ray.remote(num_cpus=0)
    class Bystander:
        def die(self) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        def live(self) -> None:
            time.sleep(600)

        def ready(self) -> None:
            time.sleep(60)

    return Bystander


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_process_that_waits_for_a_dead_member_ends_and_for_a_living_one_does_not(on_ray: None) -> None:
    first, other, living = Member.remote(), bystanders().remote(), bystanders().remote()
    assert ray.get(first.wait_for.remote([living.live.remote()], 3), timeout=250) == "went on"
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(first.wait_for.remote([other.die.remote()], 250), timeout=240)


@pytest.mark.slow
def test_a_process_that_is_never_ready_is_named_before_the_trials_worker_is_killed(on_ray: None) -> None:
    gang = Gang.__new__(Gang)
    gang._size, gang._ready_s, gang._peers = 2, 0.5, {1: bystanders().remote()}
    with pytest.raises(TimeoutError, match="process 1 of the trial's 2 was not ready within half of faults"):
        gang._ensure_peers()
