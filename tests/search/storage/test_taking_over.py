"""Runs in a bucket that another process takes over, or plants something in."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agents.settings import ClaudeConfig
from search.__main__ import main
from search.config.schema import RunConfig
from search.interrupt import interruptible
from search.ledger.events import Resumed
from search.ledger.log import Ledger
from search.storage.object_store import Mirror, local_copy, run_path
from search.storage.run_directory import RunDirectory, new_run
from tests.search.storage.mirrored import (
    SECOND,
    another_machine,
    append,
    begin,
    claimed,
)
from tests.servers.s3 import Store
from tests.small_runs.settings import ONE_CPU, SMALL_TASK
from tests.small_runs.synthetic import synthetic_run


def test_a_run_that_is_taken_over_ends_in_one_line(
    storage: tuple[str, Store],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, store = storage
    monkeypatch.setattr(Mirror.__init__, "__kwdefaults__", {"interval_s": 0.3, "lease_s": 0.01})
    there: dict[str, bytes] = {}

    def campaign(run: RunDirectory, *_: object, **__: object) -> None:
        with interruptible() as stop:
            claimed(url, tmp_path / "next", lease_s=0).sync()
            there.update(store.objects)
            for _ in range(1000):
                stop.check()
                append(run.ledger, SECOND)
                time.sleep(0.01)

    monkeypatch.setattr("search.cli.commands.run.reach_outcome", campaign)
    assert main(["run", "configs/dev.yaml", "--out", url]) == 1
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: ")]
    assert "has taken over this run; this one stops" in line
    assert store.objects == there


@pytest.mark.parametrize("name", ["../../../out", "/tmp/planted-by-a-bucket"])
def test_a_bucket_writes_no_file_outside_the_copy(
    name: str, storage: tuple[str, Store], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, store = storage
    with run_path(url) as path:
        begin(path)
    shutil.rmtree(path)
    key = "bucket/runs/one/.mirror.json"
    planted = json.loads(store.objects[key])
    planted["files"].append(name)
    store.objects[key] = json.dumps(planted).encode()
    store.objects[f"bucket/runs/one/epoch-000001/{name}"] = store.objects[f"bucket/runs/one/{name}"] = b"evil"
    for command in ("resume", "status", "report"):
        assert main([command, url]) == 2
        assert f"it names the file {name!r}, which no run holds" in capsys.readouterr().err
    assert not list(tmp_path.rglob("out"))
    assert not Path("/tmp/planted-by-a-bucket").exists()


@pytest.mark.parametrize("command", [["resume"], ["propose", "configs/dev.yaml", "--out"]])
def test_a_bucket_sends_no_key_anywhere(
    command: list[str],
    storage: tuple[str, Store],
    config: RunConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, _ = storage
    evil = config.model_copy(update={"agent": ClaudeConfig(base_url="http://evil.example")})
    with run_path(url) as path:
        Ledger(new_run(path, evil).ledger).append(Resumed())
    another_machine(monkeypatch, tmp_path)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    assert main([*command, url]) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert (
        "its config.yaml sets agent.base_url to 'http://evil.example', and nothing on this machine does"
        in line
    )
    assert not (local_copy(url) / "config.yaml").exists()


SMALL = [
    *SMALL_TASK,
    "search.trials=4",
    "search.round_trials=4",
    "replication={methods: 1, seeds: 1}",
    "confirm={finalists: 1, seeds: 2}",
    "trial={cpus: 1, concurrent: 1}",
    "tracking.kind=off",
]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_stopped_on_one_machine_is_finished_on_another(
    storage: tuple[str, Store],
    warm: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It began with the methods and scores of an earlier run, which the other machine has not."""
    url, store = storage
    monkeypatch.setenv(*ONE_CPU)
    earlier = synthetic_run(tmp_path / "earlier", 12).path

    def start(machine: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "search", *arguments],
            cwd=Path(__file__).parents[3],
            env={**os.environ, "HOME": str(tmp_path / machine)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    begins = [f"from_runs=[{earlier}]", "from_runs_methods=1"]
    settings = [part for one in [*SMALL, *begins, f"cache={warm}"] for part in ("--set", one)]
    first = start("one", "run", "configs/dev.yaml", "--out", url, *settings)

    def reached_a_rung() -> bool:
        return any('"rung_reached"' in file.read_text() for file in (tmp_path / "one").rglob("ledger.jsonl"))

    while first.poll() is None and not reached_a_rung():
        time.sleep(0.1)
    first.send_signal(signal.SIGTERM)
    said, _ = first.communicate(timeout=300)
    assert first.returncode == 130, said
    assert f"python -m search resume {url}" in said.replace("\n", "")
    assert b'"interrupted"' in store.objects["bucket/runs/one/ledger.jsonl"]

    another_machine(monkeypatch, tmp_path, "two")
    shutil.rmtree(earlier)
    assert main(["resume", url]) == 0
    result = json.loads(store.objects["bucket/runs/one/result.json"])
    phases = result["phases"]
    assert (phases["search"]["started"], phases["replication"]["started"]) == (4, 1)  # the one is naive
    ledger = store.objects["bucket/runs/one/ledger.jsonl"].decode()
    [began] = result["from_runs"]
    assert began["scores"] >= 12
    assert '"branch":"earlier-' in ledger
    assert ledger.count('"earlier_scored"') == 1
    assert ledger.count('"run_started"') == ledger.count('"resumed"') == ledger.count('"finished"') == 1
