"""What a trial costs in a warm worker beyond its training steps and its evaluation, in seconds.

    python -m benchmarks.overhead [--trials 20] [--quick]

One process, as a worker has it: a Workbench over the toy task, the same method again and again. Of a trial's
wall time, from asking for it until its engine is closed, its steps (at the pace between its two rungs) and
its evaluations are taken off; what is left is data, student, engine and teardown. Prints JSON: the worker's
own start (imports, process group, weights), the first trial and the median of the others.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainers.engine import EngineConfig, warm_up
from trainers.examples import SplitSizes
from trainers.losses import Xent
from trainers.method import Method
from trainers.models import ModelPool
from trainers.optim import Adamw
from trainers.prompts import render
from trainers.student import Materials, Workbench
from trainers.toy import ToyModel, ToyTask, load_toy

EXAMPLES, BATCH = 640, 32
STEPS = EXAMPLES // BATCH
SPLITS = SplitSizes(weak_train=1, transfer=EXAMPLES, search=500, test=1)


def workbench(zero_stage: int, cache: Path) -> Workbench:
    """A worker's bench over the toy task."""
    model = ToyModel(size="strong", pretrain_steps=1)
    task = load_toy(ToyTask(splits=SPLITS))
    truth = task.truth["transfer"]
    materials = Materials(
        weak_probs=np.where(truth == 1, 0.8, 0.2).astype(np.float32)[None],
        tokens={split: render(model, task.inputs[split]) for split in ("transfer", "search")},
    )
    return Workbench(materials, ModelPool(model, cache=cache), EngineConfig(zero_stage=zero_stage))


def overhead(bench: Workbench, seed: int) -> float:
    """Seconds of one trial beyond its steps and evaluations."""
    method = Method(loss=Xent(), optim=Adamw(batch_size=BATCH, epochs=1))
    start = time.perf_counter()
    trial = bench.train(method, seed=seed, split="search", rungs=(0.5 / STEPS, 1.0))
    reports = [next(trial), next(trial)]
    trial.close()  # type: ignore[attr-defined]  # it is a generator
    wall = time.perf_counter() - start
    step = reports[1].train_s / (STEPS - 1)  # the first rung is the first step, with the engine's start
    return wall - STEPS * step - sum(report.eval_s for report in reports)


def measure(zero_stage: int, trials: int) -> dict[str, Any]:
    """One worker's life."""
    with tempfile.TemporaryDirectory() as cache:
        bench = workbench(zero_stage, Path(cache))
        seconds = [overhead(bench, seed) for seed in range(trials + 1)]
    return {
        "zero_stage": zero_stage,
        "first_s": seconds[0],
        "warm_s": float(np.median(seconds[1:])),
        "trials": trials,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="5 trials of ZeRO 0")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    start = time.perf_counter()
    warm_up(EngineConfig(zero_stage=2))
    started = time.perf_counter() - start
    stages, trials = ((0,), 5) if arguments.quick else ((0, 1, 2), arguments.trials)
    rows = [measure(stage, trials) for stage in stages]
    print(json.dumps({"warm_up_s": started, "stages": rows}, indent=1))


if __name__ == "__main__":
    main()
