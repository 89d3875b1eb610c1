"""What the parts share: the card, its peak, and the pace of a LoRA student of a published shape."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch._dynamo.utils import counters

from benchmarks.training.models import QWEN3, TINY, qwen3, random_classifier, random_tokens, with_lora
from trainers.components.losses import Xent
from trainers.components.optim import Adamw
from trainers.components.selecting.plans import Phase, Plan
from trainers.training.compilation import wants_compiled
from trainers.training.deepspeed_engine import device
from trainers.training.loop import Recipe, TokenInputs, fit
from trainers.training.memory.activations import ModelShape
from trainers.training.memory.choice import fitted
from trainers.training.memory.prediction import predict_memory, training_room
from trainers.training.session import Event
from trainers.training.settings import EngineConfig

Row = dict[str, Any]
Record = Callable[[Row], None]  # keeps a row of results

PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}  # dense bf16 FLOP/s
RANK, BATCH, LENGTH = 32, 32, 1024
WARM_UP = 2  # steps: kernels are chosen, layers compiled and buffers allocated by then
PUBLISHED = {"examples": 6826, "epochs": 5, "seconds": 6353}


def card() -> str:
    """The GPU's name, or cpu."""
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"


def peak_flops() -> float | None:
    """The card's dense bf16 FLOP/s; None where it is not known here."""
    return next((peak for name, peak in PEAK.items() if name in card()), None)


def flops_a_token(shape: ModelShape, frozen_linear: int, trainable: int, length: int) -> float:
    """Work on a token: 4 FLOPs a frozen parameter, 6 a trained one, and causal attention's.

    Frozen weights have no gradient: forward, and backward to the activations. Attention takes
    6 · length · layers · attention width (Korthikanti et al. 2022, appendix A, for half the scores).
    Recomputation counts as time, not as work.
    """
    return 4 * frozen_linear + 6 * trainable + 6 * length * shape.layers * shape.attention


@dataclass(frozen=True, kw_only=True)
class Work:
    """A LoRA training to measure, all sequences of one length.

    shape: of QWEN3, or tiny. steps: measured ones. engine: without a micro-batch it gets the largest that is
    predicted to fit.
    """

    shape: str
    engine: EngineConfig
    steps: int
    attention: str = "sdpa"

    @property
    def sizes(self) -> tuple[int, int]:
        """Tokens of a sequence, and sequences of a batch."""
        return (32, 4) if self.shape == "tiny" else (LENGTH, BATCH)


def everything(examples: int) -> Plan:
    """A plan that keeps every example."""
    return Plan(phases=(Phase(start=0.0, weights=np.ones(examples, dtype=np.float32), lr_scale=1.0),))


def pace(work: Work, peak: float | None = None) -> Row:
    """Tokens a second, share of the peak and memory of a training; the row of a table."""
    config = qwen3(**TINY, vocab_size=512) if work.shape == "tiny" else qwen3(**QWEN3[work.shape])
    length, batch = work.sizes
    start_measuring()
    graphs = compiled_graphs()
    model = random_classifier(config, dtype=torch.bfloat16, device=device(), attention=work.attention)
    parameters = with_lora(model, RANK)
    trainable = sum(parameter.numel() for parameter in parameters)
    frozen = sum(parameter.numel() for parameter in model.parameters()) - trainable
    shape = ModelShape.of(config)
    sizes: Row = {"trainable": trainable, "frozen": frozen, "length": length, "batch_size": batch}
    sizes |= {"on_gpu": torch.cuda.is_available(), "compiled": wants_compiled(work.engine, model)}
    engine = fitted(shape, work.engine, _room(), **sizes)
    seconds, first, events = _timed(model, parameters, engine, work)
    tokens_per_s = work.steps * batch * length / seconds
    embeddings = int(config.vocab_size) * int(config.hidden_size)
    flops = flops_a_token(shape, frozen - embeddings, trainable, length)
    peak = peak or peak_flops()
    return {
        "shape": work.shape,
        "engine": engine.runs_on(1),
        "compile": engine.compile,
        "trainable": trainable,
        "frozen": frozen,
        "micro_batch": events[-1].micro_batch if events else engine.micro_batch,
        "tokens_per_s": tokens_per_s,
        "share_of_peak": tokens_per_s * flops / peak if peak else None,
        "peak_memory": peak_memory(),
        "predicted_memory": predict_memory(shape, engine, **sizes).device,
        "warm_up_s": first,
        "graphs": compiled_graphs() - graphs,
        "projected_s": PUBLISHED["examples"] * PUBLISHED["epochs"] * length / tokens_per_s,
        "published_s": PUBLISHED["seconds"],
    }


def _timed(
    model: torch.nn.Module, parameters: list[torch.nn.Parameter], engine: EngineConfig, work: Work
) -> tuple[float, float, list[Event]]:
    """Seconds of the measured steps and of the first ones, and what happened."""
    length, batch = work.sizes
    steps = WARM_UP + work.steps
    tokens = random_tokens(np.full(steps * batch, length), int(model.body.config.vocab_size))  # type: ignore[union-attr, arg-type]  # a decoder's
    recipe = Recipe(
        plan=everything(len(tokens)),
        loss=Xent(),
        optim=Adamw(lr=1e-4, epochs=1, batch_size=batch),
        engine=engine,
        seed=0,
    )
    events: list[Event] = []
    targets = np.tile([0.0, 1.0], len(tokens) // 2).astype(np.float32)
    inputs = TokenInputs(tokens=tokens, pad_id=0)
    times = [time.perf_counter()]
    for _ in fit(model, parameters, inputs, targets, recipe, (WARM_UP / steps, 1.0), on_event=events.append):
        times.append(time.perf_counter())
    return times[2] - times[1], times[1] - times[0], events


def compiled_graphs() -> int:
    """How many pieces of code torch has compiled in this process."""
    return int(counters["stats"]["unique_graphs"])


def start_measuring() -> None:
    """Free what earlier work left on the GPU, and count its memory anew."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> int | None:
    """Bytes on the GPU at the worst moment since `start_measuring`."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None


def _room() -> int:
    if not torch.cuda.is_available():
        return 2**30
    return training_room(int(torch.cuda.get_device_properties(0).total_memory))
