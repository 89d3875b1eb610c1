"""A 4B student at 1,024 tokens, its layers as they are and compiled."""

from benchmarks.gpu.work import Record, Work, pace, start_measuring
from trainers.training.deepspeed_engine import warm_up
from trainers.training.settings import EngineConfig

MICRO_BATCH = 16


def run(tiny: bool, record: Record) -> None:
    """Compiled, as they are, and where memory halved the latter's micro-batch, compiled at that one."""
    warm_up(EngineConfig(precision="bf16"))
    shape, micro, steps = ("tiny", 2, 2) if tiny else ("Qwen3-4B", MICRO_BATCH, 6)
    halved = False
    for compiled in ("on", "off"):
        engine = EngineConfig.model_validate({"precision": "bf16", "micro_batch": micro, "compile": compiled})
        row = pace(Work(shape=shape, engine=engine, steps=steps))
        record(row)
        start_measuring()
        halved = row["micro_batch"] < micro
    if halved:
        engine = EngineConfig(precision="bf16", micro_batch=micro // 2, compile="on")
        record(pace(Work(shape=shape, engine=engine, steps=steps)))
