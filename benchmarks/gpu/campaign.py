"""A whole search of the offline task, four trials on the GPU at a time: seconds, failures, how busy it is."""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.gpu.work import Record
from tests.small_runs.settings import SMALL

SEARCH = [
    "search.trials=24",
    "search.round_trials=12",
    "baselines.seeds=4",
    "confirm={finalists: 2, seeds: 2}",
]


def run(tiny: bool, record: Record) -> None:
    """One row."""
    gpus = ["trial.gpus=0.25"] if torch.cuda.is_available() else []
    with tempfile.TemporaryDirectory() as folder, gpu_use() as busy:
        out = Path(folder) / "run"
        chosen = [*(SMALL if tiny else SEARCH), f"cache={folder}/cache", *gpus]
        settings = [part for setting in chosen for part in ("--set", setting)]
        command = [sys.executable, "-m", "search", "run", "configs/dev.yaml", "--out", str(out), *settings]
        started = time.perf_counter()
        done = subprocess.run(command, check=False)
        seconds = time.perf_counter() - started
        found = json.loads((out / "result.json").read_text()) if done.returncode == 0 else {}
    record(
        {
            "exit": done.returncode,
            "seconds": seconds,
            "trials": found.get("trials"),
            "train_s": found.get("cost", {}).get("train_s"),
            "gpu_busy": statistics.mean(busy) / 100 if busy else None,
        }
    )
    if done.returncode != 0:
        sys.exit("the search failed; what it said stands above")


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
