"""What a trial costs in a warm worker beyond its steps and its evaluation, by engine, and what a probe costs.

    python -m benchmarks.training.overhead [--trials 20] [--model PATH] [--quick]

One process, as a worker has it: a Workbench over the toy task, the same method again and again. Of a trial's
wall time, from asking for it until its engine is closed, its steps (at the pace between its two rungs) and
its evaluations are taken off; what is left is data, student, engine and teardown. Prints JSON: what a worker
pays at its start for either engine (imports, process group), then for each engine the first trial, the median
of the others, and processor time: of a whole trial of three epochs, and of a step (from the least of several
trials of three epochs and of one).

A probe's whole trial, three epochs over 640 examples predicting at each of three rungs: the first, which
computes the frozen features, and the median of the others, in seconds and in processor time (for a machine
that others use too). --model PATH measures it on a pretrained model as well, such as all-MiniLM-L6-v2.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search.cli.output import stdout_for_json, write_json
from trainers.components.losses import Xent
from trainers.components.optim import Adamw
from trainers.components.students import Full, Lora, Probe, StudentConfig
from trainers.data.settings import SplitSizes, ToyTask
from trainers.data.toy_task import load_toy
from trainers.method import Method
from trainers.models.pool import ModelPool
from trainers.models.prompts import render
from trainers.models.settings import HubModel, ToyModel
from trainers.training.deepspeed_engine import warm_up
from trainers.training.settings import EngineConfig
from trainers.trial.workbench import Materials, Workbench

EXAMPLES, BATCH = 640, 32
STEPS = EXAMPLES // BATCH
SPLITS = SplitSizes(weak_train=1, transfer=EXAMPLES, search=500, test=1)


TOY = ToyModel(size="strong", pretrain_steps=1)


ENGINES = {
    "torch": EngineConfig(backend="torch"),
    "deepspeed": EngineConfig(backend="deepspeed"),
    "torch, bf16": EngineConfig(backend="torch", precision="bf16"),
    "deepspeed, bf16": EngineConfig(backend="deepspeed", precision="bf16"),
    "ZeRO 1": EngineConfig(zero_stage=1),
    "ZeRO 2": EngineConfig(zero_stage=2),
}
QUICK = ("torch", "deepspeed")


def workbench(engine: EngineConfig, cache: Path, model: HubModel | ToyModel = TOY) -> Workbench:
    """A worker's bench over the toy task."""
    task = load_toy(ToyTask(splits=SPLITS))
    truth = task.truth["transfer"]
    materials = Materials(
        weak_probs=np.where(truth == 1, 0.8, 0.2).astype(np.float32)[None],
        tokens={split: render(model, task.inputs[split]) for split in ("transfer", "search")},
    )
    return Workbench(materials, ModelPool(model, cache=cache), engine)


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


def whole(bench: Workbench, student: StudentConfig, epochs: int, seed: int) -> float:
    """Processor seconds of one trial with a single rung."""
    method = Method(student=student, loss=Xent(), optim=Adamw(batch_size=BATCH, epochs=epochs))
    start = time.process_time()
    list(bench.train(method, seed=seed, split="search", rungs=(1.0,)))
    return time.process_time() - start


def measure(name: str, trials: int) -> dict[str, Any]:
    """One worker's life."""
    with tempfile.TemporaryDirectory() as cache:
        bench = workbench(ENGINES[name], Path(cache))
        seconds = [overhead(bench, seed) for seed in range(trials + 1)]
        row: dict[str, Any] = {
            "engine": name,
            "first_s": seconds[0],
            "warm_s": float(np.median(seconds[1:])),
            "trials": trials,
        }
        for student in (Full(), Lora()):
            short, long = (
                min(whole(bench, student, epochs, seed) for seed in range(max(3, trials // 2)))
                for epochs in (1, 3)
            )
            row[f"{student.kind}_trial_cpu_s"] = long
            row[f"{student.kind}_step_cpu_ms"] = 1000 * (long - short) / (2 * STEPS)
    return row


def probes(model: HubModel | ToyModel, trials: int) -> dict[str, Any]:
    """Whole trials of a probe, one after another in one worker."""
    method = Method(student=Probe(), optim=Adamw(lr=0.01, batch_size=BATCH, epochs=3))
    seconds, cpu = [], []
    with tempfile.TemporaryDirectory() as cache:
        bench = workbench(EngineConfig(), Path(cache), model)
        for seed in range(trials + 1):
            start, cpu_start = time.perf_counter(), time.process_time()
            for _ in bench.train(method, seed=seed, split="search", rungs=(1 / 9, 1 / 3, 1.0)):
                pass
            seconds.append(time.perf_counter() - start)
            cpu.append(time.process_time() - cpu_start)
    return {
        "model": getattr(model, "path", "toy"),
        "steps": 3 * STEPS,
        "first_s": seconds[0],
        "warm_s": float(np.median(seconds[1:])),
        "warm_cpu_s": float(np.median(cpu[1:])),
        "trials": trials,
    }


@stdout_for_json()
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", help="folder of a pretrained model to probe as well")
    parser.add_argument("--quick", action="store_true", help="5 trials, in float32, without ZeRO")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    started = {}
    for name in QUICK:
        start = time.process_time()
        warm_up(ENGINES[name])
        started[name] = time.process_time() - start
    names, trials = (QUICK, 5) if arguments.quick else (tuple(ENGINES), arguments.trials)
    rows = [measure(name, trials) for name in names]
    probed: list[HubModel | ToyModel] = [TOY]
    if arguments.model:
        probed.append(HubModel(path=arguments.model, max_length=64))
    probe_rows = [probes(model, trials) for model in probed]
    write_json({"warm_up_cpu_s": started, "engines": rows, "probes": probe_rows}, indent=1)


if __name__ == "__main__":
    main()
