"""Small trainings on the GPU, compiled and not, against the same on the CPU: do their predictions agree?

A Qwen3 shape of two layers with random weights learns 96 examples for two epochs. Each case is trained by a
process on the GPU and by another that sees none; both run at the same time. A row says how far predicted
probabilities are apart at worst, how far training moved them, and whether that is within the bound: .002 in
float32, .05 in bfloat16 (eight bits of precision, through 12 steps). One more row is a gang of two processes
that share the GPU, against a process alone.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.gpu.work import Record, Row, everything, peak_memory, start_measuring
from benchmarks.training.models import Given, qwen3, random_classifier, random_tokens
from trainers.components.losses import LogConf, Loss, Xent
from trainers.components.optim import Adamw
from trainers.components.students import Full, Lora, StudentConfig, full, lora
from trainers.gang import GangMember, joined
from trainers.models.head import as_head, new_head
from trainers.models.pool import Classifier, ModelPool
from trainers.training.checkpoint import Checkpoint
from trainers.training.deepspeed_engine import warm_up
from trainers.training.loop import FeatureInputs, Inputs, Recipe, TokenInputs, fit, predict
from trainers.training.packed import graphs
from trainers.training.session import Event
from trainers.training.settings import EngineConfig

SHAPE = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 2, "heads": 8}
EXAMPLES, VOCABULARY = 96, 512
MEMBERS_S = 45 if torch.cuda.is_available() else 600  # for a gang's start and training
BOUNDS = {"fp32": 2e-3, "bf16": 5e-2}
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One training; the student `probe` is a head on random features."""

    student: StudentConfig | None
    precision: str = "fp32"
    words: tuple[int, int] | None = None
    loss: Loss = field(default_factory=Xent)
    engine: dict[str, Any] = field(default_factory=dict)


LORA = Lora(rank=8)
CAPTURED = {"packing": "on", "cuda_graphs": "on"}
CASES = {
    "fp32 full": Case(student=Full()),
    "bf16 LoRA": Case(student=LORA, precision="bf16"),
    "bf16 LoRA on DeepSpeed": Case(student=LORA, precision="bf16", engine={"backend": "deepspeed"}),
    "bf16 LoRA, packed": Case(student=LORA, precision="bf16", engine={"packing": "on"}),
    "bf16 LoRA, packed and captured": Case(student=LORA, precision="bf16", engine=CAPTURED),
    "label tokens, logconf, micro-batch 6, captured": Case(
        student=LORA,
        precision="bf16",
        words=(7, 11),
        loss=LogConf(aux=0.5),
        engine={**CAPTURED, "micro_batch": 6},
    ),
    "bf16 full": Case(student=Full(), precision="bf16"),
    "fp32 LoRA": Case(student=LORA),
    "probe": Case(student=None),
    "label tokens": Case(student=LORA, words=(7, 11)),
    "gradient checkpointing": Case(student=LORA, engine={"gradient_checkpointing": True}),
    "ZeRO 2, micro-batch 6, logconf": Case(
        student=LORA, loss=LogConf(aux=0.5), engine={"zero_stage": 2, "micro_batch": 6}
    ),
}


def classifier(words: tuple[int, int] | None, dtype: torch.dtype) -> Classifier:
    """A model with the same random weights everywhere."""
    config = qwen3(**SHAPE, vocab_size=VOCABULARY)
    model = random_classifier(config, dtype=dtype, device=torch.device("cpu"))
    if words is None:
        return model
    vocabulary = nn.Linear(SHAPE["hidden_size"], VOCABULARY, bias=False)
    vocabulary.weight = cast(nn.Parameter, model.body.get_input_embeddings().weight)
    return Classifier(model.body, "last", as_head(vocabulary), words)


def prepared(case: Case) -> tuple[nn.Module, list[nn.Parameter], Inputs]:
    """The module, what is trained, and the examples."""
    if case.student is None:
        head = new_head(16, seed=0)
        features = torch.randn((EXAMPLES, 16), generator=torch.Generator().manual_seed(0))
        return head, list(head.parameters()), FeatureInputs(features=features)
    dtype = torch.bfloat16 if case.precision == "bf16" else torch.float32
    pool = cast(ModelPool, Given(classifier(case.words, dtype)))
    make: Callable[..., Any] = full if isinstance(case.student, Full) else lora
    student = make(case.student, pool, seed=0, words=case.words)
    lengths = np.random.default_rng(0).integers(17, 25, size=EXAMPLES)
    return (
        student.module,
        student.parameters,
        TokenInputs(tokens=random_tokens(lengths, VOCABULARY), pad_id=0),
    )


def recipe(case: Case, compiled: str) -> Recipe:
    """How every case trains."""
    engine = {"precision": case.precision, "compile": compiled, **case.engine}
    return Recipe(
        plan=everything(EXAMPLES),
        loss=case.loss,
        optim=Adamw(lr=2e-3, epochs=2, batch_size=16),
        engine=EngineConfig.model_validate(engine),
        seed=0,
    )


TARGETS = np.random.default_rng(1).integers(0, 2, size=EXAMPLES).astype(np.float32)


def trained(case: Case, compiled: str, **more: Any) -> tuple[Floats, Floats]:
    """Predictions at first and after training."""
    module, parameters, inputs = prepared(case)
    before = predict(module, inputs)
    for _ in fit(module, parameters, inputs, TARGETS, recipe(case, compiled), (1.0,), **more):
        after = predict(module, inputs)
    return before, after


def run(tiny: bool, record: Record) -> None:
    """A row a case."""
    small = ("fp32 LoRA", "probe", "label tokens", "bf16 LoRA on DeepSpeed", "bf16 LoRA, packed")
    cases = {name: CASES[name] for name in small} if tiny else CASES
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "cpu.json"
        command = [sys.executable, "-m", "benchmarks.gpu.checks", str(reference), *cases]
        with subprocess.Popen(command, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}) as on_cpu:
            warm_up(EngineConfig(precision="bf16"))
            with patch.object(graphs, "SEEN", 0):  # capture whatever shape comes
                here = {name: [trained(case, how) for how in ("off", "on")] for name, case in cases.items()}
            if on_cpu.wait() != 0:
                raise RuntimeError("the process on the CPU failed; its error stands above")
        there = json.loads(reference.read_text())
    for name, ((before, eager), (_, compiled)) in here.items():
        record(compared(name, CASES[name], np.array(there[name]), before, eager, compiled))
    record(resumed())
    record(halved())
    record(shared())


def compared(
    name: str, case: Case, there: NDArray[np.float64], before: Floats, eager: Floats, compiled: Floats
) -> Row:
    """The distances of a case."""
    differences = {
        "eager_off_by": float(np.abs(eager - there).max()),
        "compiled_off_by": float(np.abs(compiled - there).max()),
    }
    bound = BOUNDS[case.precision]
    moved = float(np.abs(eager - before).max())
    within = max(differences.values()) <= bound < moved
    return {"check": name, "ok": within, **differences, "bound": bound, "moved": moved}


def resumed() -> Row:
    """A training that stops at a rung and goes on from there, against an unbroken one."""
    case = CASES["fp32 LoRA"]
    _, whole = trained(case, "on")
    with tempfile.TemporaryDirectory() as folder:
        for rungs in ((0.5,), (0.5, 1.0)):
            module, parameters, inputs = prepared(case)
            kept = Checkpoint(folder=Path(folder) / "trial", after_s=0)
            for _ in fit(module, parameters, inputs, TARGETS, recipe(case, "on"), rungs, checkpoint=kept):
                after = predict(module, inputs)
    difference = float(np.abs(after - whole).max())
    return {
        "check": "resumed from a rung",
        "ok": difference <= 1e-5,
        "compiled_off_by": difference,
        "bound": 1e-5,
    }


def halved() -> Row:
    """A training that runs out of the GPU's memory and goes on with smaller pieces, against one with room."""
    name = "out of memory"
    if not torch.cuda.is_available():
        return {"check": name, "ok": None, "why": "needs a GPU"}
    lengths = np.full(64, 512)
    inputs = TokenInputs(tokens=random_tokens(lengths, VOCABULARY), pad_id=0)
    found: list[Floats] = []
    events: list[Event] = []
    total = torch.cuda.get_device_properties(0).total_memory
    for room in (1.0, 0.7):
        module, parameters, _ = prepared(CASES["fp32 full"])
        using = Recipe(
            plan=everything(64),
            loss=Xent(),
            optim=Adamw(lr=1e-3, epochs=2, batch_size=64),
            engine=EngineConfig(compile="on"),
            seed=0,
        )
        if room < 1:
            torch.cuda.set_per_process_memory_fraction(room * (peak_memory() or total) / total)
        start_measuring()
        for _ in fit(module, parameters, inputs, TARGETS[:64], using, (1.0,), on_event=events.append):
            pass
        torch.cuda.set_per_process_memory_fraction(1.0)
        found.append(predict(module, inputs))
    difference = float(np.abs(found[0] - found[1]).max())
    bound = BOUNDS["fp32"]
    sizes = [event.micro_batch for event in events]
    return {
        "check": name,
        "ok": bool(sizes) and difference <= bound,
        "compiled_off_by": difference,
        "bound": bound,
        "micro_batches": sizes,
    }


def shared() -> Row:
    """A training by two processes on one device, against one process; they can't talk through NCCL there."""
    name, bound, case = "gang of two on one device", BOUNDS["fp32"], CASES["fp32 LoRA"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.gpu.checks", "--member", folder]
        members = [subprocess.Popen([*command, str(rank)]) for rank in range(2)]
        _, alone = trained(case, "off")
        if not all_end_well(members):
            return {"check": name, "ok": False, "why": "a member failed or hung; see the log"}
        together = np.array(json.loads((Path(folder) / "predictions.json").read_text()))
    difference = float(np.abs(together - alone).max())
    return {"check": name, "ok": difference <= bound, "eager_off_by": difference, "bound": bound}


def all_end_well(members: list[subprocess.Popen[bytes]]) -> bool:
    """Whether all processes end without an error; the rest is killed once one has not, or is too slow."""
    ends = time.monotonic() + MEMBERS_S
    try:
        return all(member.wait(max(0.1, ends - time.monotonic())) == 0 for member in members)
    except subprocess.TimeoutExpired:
        return False
    finally:
        for member in members:
            member.kill()


def member(folder: Path, rank: int) -> None:
    """Train as one of two, and write what the first predicts."""
    meeting = GangMember(rank=rank, world_size=2, init_method=f"file://{folder}/meeting")
    with patch("trainers.gang.group_backend", lambda: "gloo"), joined(meeting):
        _, after = trained(CASES["fp32 LoRA"], "off")
    if rank == 0:
        (folder / "predictions.json").write_text(json.dumps(after.tolist()))


def reference(path: Path, names: list[str]) -> None:
    """Train the cases on the CPU and write their predictions."""
    warm_up(EngineConfig())
    path.write_text(json.dumps({name: trained(CASES[name], "off")[1].tolist() for name in names}))


if __name__ == "__main__":
    if sys.argv[1] == "--member":
        member(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        reference(Path(sys.argv[1]), sys.argv[2:])
