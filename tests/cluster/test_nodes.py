"""A cluster on one machine: a head and raylets, jobs by the real Jobs API, a node lost and another won."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from cluster.jobs import connect
from search.ledger import read_ledger
from search.record import Record

REPO = Path(__file__).parents[2]
TRIALS = 8
SMALL = [
    "task.splits={weak_train: 300, transfer: 300, search: 300, test: 400}",
    "weak.optim={lr: 0.01, epochs: 3, batch_size: 32}",
    "strong.model.pretrain_steps=250",
    "strong.optim={lr: 0.002, epochs: 2, batch_size: 32}",
    "baselines.seeds=2",
    f"search.trials={TRIALS}",
    "search.round_trials=4",
    "agent.branches=2",
    "replication={methods: 1, seeds: 1}",
    "confirm={finalists: 1, seeds: 2}",
]


def submit(address: str, out: Path, cache: Path) -> subprocess.Popen[str]:
    settings = [part for one in [*SMALL, f"cache={cache}"] for part in ("--set", one)]
    arguments = ["submit", "configs/dev.yaml", "--address", address, "--out", str(out), *settings]
    return subprocess.Popen(
        [sys.executable, "-m", "search", *arguments],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(ledger: Path, reached: Callable[[str], bool], job: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while not (ledger.is_file() and reached(ledger.read_text())):
        if job.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the ledger never came so far: {job.communicate()[0]}")
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_campaign_outlives_a_stop_and_a_lost_node(cluster: Cluster, address: str, tmp_path: Path) -> None:
    out, ledger = tmp_path / "run", tmp_path / "run" / "ledger.jsonl"

    first = submit(address, out, tmp_path / "cache")
    assert first.stdout is not None
    name = first.stdout.readline().removeprefix("job ").strip()
    wait_for(ledger, lambda text: text.count("trial_ended") >= 2, first)
    assert connect(address).stop_job(name)
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 130, output
    assert "everything is saved" in output
    assert read_ledger(ledger)[-1].event == "interrupted"

    second = submit(address, out, tmp_path / "cache")
    before = ledger.read_text().count("trial_ended")
    wait_for(ledger, lambda text: text.count("trial_ended") >= before + 1, second)
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    cluster.add_node(num_cpus=1)
    output, _ = second.communicate(timeout=200)
    assert second.returncode == 0, output
    assert "Performance gap recovered on the test split" in output

    events = read_ledger(ledger)
    record = Record.of(events)
    ends = Counter(event.trial for event in events if event.event == "trial_ended")
    assert set(ends) == set(record.trials)  # nothing lost
    assert set(ends.values()) == {1}  # nor counted twice
    result = json.loads((out / "result.json").read_text())
    assert sum(result["trials"].values()) == TRIALS
    assert result["trials"]["failed"] == 0
    assert result["best"]["seeds"] == 2
