"""A cluster on one machine: a head and raylets, jobs by the real Jobs API, a node lost and another won."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from search.ledger.log import read_ledger
from search.ledger.record import Record
from tests.cluster.conftest import add_node
from tests.servers.proxy import Proxy
from tests.small_runs.settings import REPO, SMALL_TASK

TRIALS = 8
SMALL = [
    *SMALL_TASK,
    f"search.trials={TRIALS}",
    "search.round_trials=4",
    "agent.branches=2",
    "replication={methods: 1, seeds: 1}",
    "confirm={finalists: 1, seeds: 2}",
    "tracking.kind=off",
]
PATIENCE_S = 300


def submit(address: str, *arguments: str, **more: Any) -> subprocess.Popen[str]:
    channels = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(
        [sys.executable, "-m", "search", "submit", "--address", address, *arguments],
        cwd=REPO,
        text=True,
        **(channels | more),
    )


def run_of(out: Path, cache: Path) -> list[str]:
    settings = [part for one in [*SMALL, f"cache={cache}"] for part in ("--set", one)]
    return ["configs/dev.yaml", "--out", str(out), *settings]


def wait_for(ledger: Path, reached: Callable[[str], object], job: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not (ledger.is_file() and reached(ledger.read_text())):
        if job.poll() is not None or time.monotonic() > deadline:
            job.kill()
            pytest.fail(f"the ledger never came so far: {job.communicate()[0]}")
        time.sleep(0.05)


def asked_to_stop(address: str, out: Path, cache: Path) -> str:
    """Submit from a terminal, press Ctrl-C during the first trial, answer s; what the terminal showed."""
    here, there = pty.openpty()
    job = submit(address, *run_of(out, cache), stdin=there, stdout=there, stderr=there)
    os.close(there)
    wait_for(out / "ledger.jsonl", lambda text: "trial_started" in text, job)
    job.send_signal(signal.SIGINT)
    os.write(here, b"s\n")
    shown = b""
    try:
        while part := os.read(here, 4096):
            shown += part
    except OSError:  # the other end was closed
        pass
    assert job.wait(timeout=PATIENCE_S) == 130, shown
    return shown.decode()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_campaign_outlives_a_stop_a_cut_connection_and_a_lost_node(
    cluster: Cluster, address: str, cache: Path, tmp_path: Path
) -> None:
    out, nodes_cache = tmp_path / "run", tmp_path / "cache"
    for pretrained in cache.glob("toy-*"):  # the baselines are trained on the nodes
        shutil.copytree(pretrained, nodes_cache / pretrained.name)
    ledger = out / "ledger.jsonl"

    shown = asked_to_stop(address, out, nodes_cache)
    assert "Stop the job, or leave it running?" in shown
    assert "everything is saved" in shown
    assert read_ledger(ledger)[-1].event == "interrupted"

    # The same command goes on with the run. Without a terminal, Ctrl-C leaves the job alone.
    leaver = submit(address, *run_of(out, nodes_cache))
    wait_for(ledger, lambda text: '"resumed"' in text, leaver)
    leaver.send_signal(signal.SIGINT)
    said, _ = leaver.communicate(timeout=PATIENCE_S)
    assert leaver.returncode == 130, said
    identity = said.strip().rpartition("--follow ")[2]

    proxy = Proxy(address)
    follower = submit(proxy.url, "--follow", identity)
    before = ledger.read_text().count("rung_reached")
    wait_for(ledger, lambda text: proxy.connections and text.count("rung_reached") > before, follower)
    proxy.cut()
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    add_node(cluster, "late")
    proxy.mend()
    output, _ = follower.communicate(timeout=PATIENCE_S)
    proxy.close()
    assert follower.returncode == 0, output
    assert "connected again after" in output
    assert output.count("Running entrypoint for job") == 1  # the log was not told twice
    assert output.count("Performance gap recovered on the test split") == 1

    events = read_ledger(ledger)
    record = Record.of(events)
    ends = Counter(event.trial for event in events if event.event == "trial_ended")
    assert set(ends) == set(record.trials)  # nothing lost
    assert set(ends.values()) == {1}  # nor counted twice
    result = json.loads((out / "result.json").read_text())
    assert result["phases"]["search"]["started"] == TRIALS
    assert result["trials"]["failed"] == 0
    assert result["best"]["seeds"] == 2
