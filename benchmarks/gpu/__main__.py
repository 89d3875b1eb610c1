"""A LoRA student at full size on one GPU: tokens a second, share of the card's bf16 peak, peak memory.

    python -m benchmarks.gpu [--shape Qwen3-4B] [--micro-batch N] [--checkpointing] [--quick]
    python -m benchmarks.gpu --tiny            a dry run of the same path in a shape that a CPU can take

It has not run on a GPU yet: what is known is that the dry run passes. Qwen3 shapes with random weights, LoRA
of rank 32 on all linear layers, bf16, batches of 32 sequences of 1,024 tokens (no padding), torch's fused
attention (its flash kernel on a GPU; --attention takes any that transformers knows). The micro-batch is the
largest that trainers.memory expects to fit, and is halved if it does not. Prints JSON, one row a shape.

FLOPs a token: 4 a parameter of the linear layers (forward, and backward to the activations: frozen weights
have no gradient), 6 an adapter parameter, and causal attention's 6 · length · layers · attention width
(Korthikanti et al. 2022, appendix A, for half the scores); recomputation counts as time, not as work.
Projected: 6,826 examples for 5 epochs, all as long as these, against the 6,353 s that the published chat
trial took on one H200.
"""

import argparse
import json
import time
from typing import Any

import numpy as np
import torch

from benchmarks.training.models import QWEN3, TINY, qwen3, random_classifier, random_tokens, with_lora
from trainers.components.losses import Xent
from trainers.components.optim import Adamw
from trainers.components.selection import Phase, Plan
from trainers.training.deepspeed_engine import device, warm_up
from trainers.training.loop import Recipe, TokenInputs, fit
from trainers.training.memory import ModelShape, largest_micro_batch, predict_memory, training_room
from trainers.training.session import Event
from trainers.training.settings import EngineConfig

PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}  # dense bf16 FLOP/s
RANK, BATCH, LENGTH = 32, 32, 1024
PUBLISHED = {"examples": 6826, "epochs": 5, "seconds": 6353}


def flops_a_token(shape: ModelShape, frozen_linear: int, trainable: int, length: int) -> float:
    """As the module says."""
    return 4 * frozen_linear + 6 * trainable + 6 * length * shape.layers * shape.attention


def bench(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One shape."""
    config = qwen3(**TINY, vocab_size=512) if arguments.tiny else qwen3(**QWEN3[name])
    length, batch = (32, 4) if arguments.tiny else (LENGTH, BATCH)
    model = random_classifier(config, dtype=torch.bfloat16, device=device(), attention=arguments.attention)
    parameters = with_lora(model, RANK)
    trainable = sum(parameter.numel() for parameter in parameters)
    frozen = sum(parameter.numel() for parameter in model.parameters()) - trainable
    shape = ModelShape.of(config)
    engine = EngineConfig(precision="bf16", gradient_checkpointing=arguments.checkpointing)
    sizes = {"trainable": trainable, "frozen": frozen, "length": length}
    micro = (
        arguments.micro_batch or largest_micro_batch(shape, engine, _room(), batch_size=batch, **sizes) or 1
    )
    engine = engine.model_copy(update={"micro_batch": micro})

    steps = 2 + (2 if arguments.quick or arguments.tiny else 8)
    tokens = random_tokens(np.full(steps * batch, length), int(config.vocab_size))
    recipe = Recipe(
        plan=Plan(phases=(Phase(start=0.0, weights=np.ones(len(tokens), dtype=np.float32), lr_scale=1.0),)),
        loss=Xent(),
        optim=Adamw(lr=1e-4, epochs=1, batch_size=batch),
        engine=engine,
        seed=0,
    )
    events: list[Event] = []
    times = []
    targets = np.tile([0.0, 1.0], len(tokens) // 2).astype(np.float32)
    inputs = TokenInputs(tokens=tokens, pad_id=0)
    # The first rung comes after two steps: kernels are chosen and buffers allocated by then.
    for _ in fit(model, parameters, inputs, targets, recipe, (2 / steps, 1.0), on_event=events.append):
        times.append(time.perf_counter())
    pace = (steps - 2) * batch * length / (times[1] - times[0])
    embeddings = int(config.vocab_size) * int(config.hidden_size)
    work = flops_a_token(shape, frozen - embeddings, trainable, length)
    predicted = predict_memory(shape, engine, batch_size=batch, **sizes)
    peak = arguments.peak or _peak_flops()
    projected = PUBLISHED["examples"] * PUBLISHED["epochs"] * length / pace
    return {
        "shape": "tiny" if arguments.tiny else name,
        "trainable": trainable,
        "frozen": frozen,
        "micro_batch": events[-1].micro_batch if events else micro,
        "tokens_per_s": pace,
        "share_of_peak": pace * work / peak if peak else None,
        "peak_memory": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None,
        "predicted_memory": predicted.device,
        "projected_s": projected,
        "published_s": PUBLISHED["seconds"],
    }


def _room() -> int:
    if not torch.cuda.is_available():
        return 2**30
    return training_room(int(torch.cuda.get_device_properties(0).total_memory))


def _peak_flops() -> float | None:
    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name(0)
    return next((peak for card, peak in PEAK.items() if card in name), None)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=list(QWEN3), action="append", help="default: all")
    parser.add_argument("--micro-batch", type=int)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--attention", default="sdpa")
    parser.add_argument("--peak", type=float, help="the card's dense bf16 FLOP/s, where it is not known here")
    parser.add_argument("--quick", action="store_true", help="two measured steps")
    parser.add_argument("--tiny", action="store_true", help="a dry run")
    arguments = parser.parse_args()
    if not arguments.tiny and not torch.cuda.is_available():
        parser.error("there is no GPU here: use --tiny for a dry run")
    warm_up(EngineConfig(precision="bf16"))
    rows = []
    for name in ["tiny"] if arguments.tiny else arguments.shape or list(QWEN3):
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        rows.append(bench(name, arguments))
    card = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    print(json.dumps({"device": card, "attention": arguments.attention, "shapes": rows}, indent=1))


if __name__ == "__main__":
    main()
