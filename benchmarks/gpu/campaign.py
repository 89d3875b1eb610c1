"""A whole search of the offline task, four trials on the GPU at a time: seconds, failures, how busy it is."""

import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.work import Record
from tests.small_runs.settings import SMALL

SEARCH = [
    "search.trials=24",
    "search.round_trials=12",
    "baselines.seeds=2",
    "confirm={finalists: 2, seeds: 2}",
]
PATIENCE_S = 112  # for the search; then it is interrupted, and the row tells how far it came
FAREWELL_S = 12  # to save what there is
PROCESSES = ["ps", "-eo", "pid,etimes,cputimes,args", "--sort=-cputimes", "--cols=160"]


def run(tiny: bool, record: Record) -> None:
    """One row."""
    gpus = ["trial.gpus=0.25"] if torch.cuda.is_available() else []
    with tempfile.TemporaryDirectory() as folder, gpu_use() as busy:
        out = Path(folder) / "run"
        chosen = [*(SMALL if tiny else SEARCH), f"cache={folder}/cache", *gpus]
        settings = [part for setting in chosen for part in ("--set", setting)]
        command = [sys.executable, "-m", "search", "run", "configs/dev.yaml", "--out", str(out), *settings]
        started = time.perf_counter()
        code = within(command, 3600 if tiny else PATIENCE_S)
        seconds = time.perf_counter() - started
        found = json.loads((out / "result.json").read_text()) if code == 0 else {}
        parts = stages(out / "ledger.jsonl")
    record(
        {
            "exit": code,
            "seconds": seconds,
            **parts,
            "trials": found.get("trials"),
            "train_s": found.get("cost", {}).get("train_s"),
            "gpu_busy": statistics.mean(busy) / 100 if busy else None,
        }
    )
    if code != 0:
        sys.exit("the search failed or was too slow; what it said stands above")


def within(command: list[str], seconds: float) -> int:
    """The exit code of a command; after so many seconds it is interrupted, and what runs then is listed."""
    with subprocess.Popen(command) as started:
        try:
            return started.wait(seconds)
        except subprocess.TimeoutExpired:
            subprocess.run(PROCESSES, check=False)
            started.send_signal(signal.SIGINT)
        try:
            return started.wait(FAREWELL_S)
        except subprocess.TimeoutExpired:
            started.kill()
            return started.wait()


def stages(ledger: Path) -> dict[str, Any]:
    """Seconds from the search's start to its baselines, its first rung and its last event, and what ended."""
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    events = [json.loads(line) for line in lines]
    if not events:
        return {}
    start = events[0]["at"]
    first = {event["event"]: event["at"] - start for event in reversed(events)}
    return {
        "baselines_after_s": first.get("baselines_ready"),
        "first_rung_after_s": first.get("rung_reached"),
        "last_event_after_s": events[-1]["at"] - start,
        "ended": sum(event["event"] == "trial_ended" for event in events),
    }


@contextmanager
def gpu_use() -> Iterator[list[float]]:
    """Each second's use of the GPU in percent, known on leaving; empty where there is no GPU to ask."""
    found: list[float] = []
    tool = shutil.which("nvidia-smi")
    if tool is None:
        yield found
        return
    query = [tool, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop=1"]
    with subprocess.Popen(query, stdout=subprocess.PIPE, text=True) as sampler:
        yield found
        sampler.terminate()
        said, _ = sampler.communicate()
    found += [float(line) for line in said.split() if line.replace(".", "").isdigit()]
