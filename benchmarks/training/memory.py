"""Predicted against measured peak memory of a training, for students of a few shapes.

    python -m benchmarks.training.memory [--quick]

Each case trains for two steps in a process of its own. On the CPU the measured peak is that of the resident
memory above what the process held before it made the model; on a GPU, torch.cuda.max_memory_allocated.
Prints JSON with the relative error, (predicted - measured) / measured, of every case.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.training.models import TINY, qwen3, random_classifier, random_tokens, with_lora
from search.cli.output import stdout_for_json, write_json
from trainers.components.losses import Xent
from trainers.components.optim import Adamw
from trainers.components.selecting.plans import Phase, Plan
from trainers.training.deepspeed_engine import device, warm_up
from trainers.training.loop import Recipe, TokenInputs, fit
from trainers.training.memory.activations import ModelShape
from trainers.training.memory.prediction import predict_memory
from trainers.training.settings import EngineConfig

WIDE = {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 4, "heads": 8}
DEEP = {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 12, "heads": 8}
VOCABULARY = 8_000
Case = dict[str, Any]


def case(
    name: str,
    *,
    lora: bool = False,
    batch: int = 8,
    length: int = 256,
    attention: str = "sdpa",
    **engine: Any,
) -> Case:
    """One training; what is not named is at its default."""
    sizes = {"shape": name, "lora": lora, "batch": batch, "length": length, "attention": attention}
    return {**sizes, "engine": {"gradient_checkpointing": False, **engine}}


CASES: list[Case] = [
    case("wide"),
    case("wide", length=32),
    case("wide", lora=True),
    case("wide", micro_batch=2),
    case("wide", gradient_checkpointing=True),
    case("wide", zero_stage=1),
    case("wide", zero_stage=2),
    case("wide", precision="bf16"),
    case("wide", lora=True, precision="bf16"),
    case("deep"),
    case("deep", lora=True, batch=16),
    case("deep", gradient_checkpointing=True, batch=16),
    case("deep", zero_stage=2, length=512),
    case("wide", attention="eager"),
    case("deep", attention="eager", length=512),
    case("wide", attention="eager", lora=True, precision="bf16"),
]


def train(wanted: Case) -> dict[str, float]:
    """Predicted and measured bytes, in this process."""
    torch.set_num_threads(1)
    engine = EngineConfig(**wanted["engine"])
    warm_up(engine)
    dtype = torch.bfloat16 if engine.precision == "bf16" else torch.float32
    _warm_kernels(dtype)
    before = _resident()
    shape = qwen3(**(WIDE if wanted["shape"] == "wide" else DEEP), vocab_size=VOCABULARY)
    model = random_classifier(shape, dtype=dtype, device=device(), attention=wanted["attention"])
    parameters = with_lora(model, 16) if wanted["lora"] else list(model.parameters())
    trainable = sum(parameter.numel() for parameter in parameters)
    frozen = sum(parameter.numel() for parameter in model.parameters()) - trainable

    examples = 2 * wanted["batch"]
    tokens = random_tokens(np.full(examples, wanted["length"]), VOCABULARY)
    recipe = Recipe(
        plan=Plan(phases=(Phase(start=0.0, weights=np.ones(examples, dtype=np.float32), lr_scale=1.0),)),
        loss=Xent(),
        optim=Adamw(epochs=1, batch_size=wanted["batch"]),
        engine=engine,
        seed=0,
    )
    _reset_peak()
    targets = np.zeros(examples, dtype=np.float32)
    for _ in fit(model, parameters, TokenInputs(tokens=tokens, pad_id=0), targets, recipe, (1.0,)):
        measured = _peak() - before
    predicted = predict_memory(
        ModelShape.of(model.body.config),
        engine,
        trainable=trainable,
        frozen=frozen,
        batch_size=wanted["batch"],
        length=wanted["length"],
        on_gpu=torch.cuda.is_available(),
    )
    return {"trainable": trainable, "frozen": frozen, "predicted": predicted.device, "measured": measured}


def _warm_kernels(dtype: torch.dtype) -> None:
    """What a library of kernels holds on to at its first use is no part of a training's memory."""
    model = random_classifier(qwen3(**TINY, vocab_size=64), dtype=dtype, device=device())
    ids = torch.ones((2, 32), dtype=torch.int64, device=device())
    model(ids, ids).sum().backward()


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


def _resident() -> int:
    return 0 if torch.cuda.is_available() else _status("VmRSS")


def _reset_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM, the peak of the resident memory


def _peak() -> int:
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else _status("VmHWM")


def measure(wanted: Case) -> Case:
    """The case with what came out, from a process of its own; raises RuntimeError where that fails."""
    # Freed blocks go back to the system at once, so that resident memory is memory in use.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training.memory", "--case", json.dumps(wanted)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{wanted} failed: {done.stderr.strip().splitlines()[-1]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return {**wanted, **found, "error": round(found["predicted"] / found["measured"] - 1, 4)}


@stdout_for_json()
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the first three cases")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        write_json(train(json.loads(arguments.case)))
        return
    rows = [measure(wanted) for wanted in (CASES[:3] if arguments.quick else CASES)]
    errors = [abs(row["error"]) for row in rows]
    table = {"device": device().type, "mean_error": float(np.mean(errors)), "largest_error": max(errors)}
    write_json({**table, "cases": rows}, indent=1)


if __name__ == "__main__":
    main()
