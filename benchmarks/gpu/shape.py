"""A LoRA student at full size on one GPU: tokens a second, share of the card's bf16 peak, peak memory.

Qwen3 shapes with random weights, LoRA of rank 32 on all linear layers, bf16, batches of 32 sequences of 1,024
tokens (no padding), torch's fused attention (its flash kernel on a GPU; --attention takes any that
transformers knows). The micro-batch is the largest that trainers.training.memory expects to fit, and is
halved if it does not. Projected: 6,826 examples for 5 epochs, all as long as these, against the 6,353 s that
the published chat trial took on one H200.
"""

import argparse

import torch

from benchmarks.gpu.work import Work, card, pace
from benchmarks.training.models import QWEN3
from search.cli.output import stdout_for_json, write_json
from trainers.training.deepspeed_engine import warm_up
from trainers.training.settings import EngineConfig


@stdout_for_json()
def main(argv: list[str]) -> None:
    """Print JSON, one row a shape."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.gpu shape", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=list(QWEN3), action="append", help="default: all")
    parser.add_argument("--micro-batch", type=int)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--compile", choices=("on", "off"), default="on")
    parser.add_argument("--attention", default="sdpa")
    parser.add_argument("--peak", type=float, help="the card's dense bf16 FLOP/s, where it is not known here")
    parser.add_argument("--quick", action="store_true", help="two measured steps")
    parser.add_argument("--tiny", action="store_true", help="a dry run in a shape that a CPU can take")
    arguments = parser.parse_args(argv)
    if not arguments.tiny and not torch.cuda.is_available():
        parser.error("there is no GPU here: use --tiny for a dry run")
    warm_up(EngineConfig(precision="bf16"))
    engine = EngineConfig(
        precision="bf16",
        gradient_checkpointing=arguments.checkpointing,
        micro_batch=arguments.micro_batch,
        compile=arguments.compile,
    )
    steps = 2 if arguments.quick or arguments.tiny else 8
    rows = [
        pace(Work(shape=name, engine=engine, steps=steps, attention=arguments.attention), arguments.peak)
        for name in (["tiny"] if arguments.tiny else arguments.shape or list(QWEN3))
    ]
    write_json({"device": card(), "attention": arguments.attention, "shapes": rows}, indent=1)
