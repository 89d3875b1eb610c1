"""A 4B student at 1,024 tokens: its layers compiled and as they are, padded and packed, on either engine."""

from benchmarks.gpu.work import Record, Work, pace, start_measuring
from trainers.training.deepspeed_engine import warm_up
from trainers.training.settings import EngineConfig

MICRO_BATCH = 16
ROWS = (  # the most telling first
    {"compile": "on"},
    {"compile": "on", "packing": "on"},
    {"compile": "off"},
    {"compile": "on", "backend": "deepspeed"},
)


def run(tiny: bool, record: Record) -> None:
    """A row each, and where memory halved a micro-batch, the first again with the smallest."""
    shape, micro, steps = ("tiny", 2, 2) if tiny else ("Qwen3-4B", MICRO_BATCH, 6)
    smallest = micro
    for settings in ROWS:
        engine = EngineConfig.model_validate({"precision": "bf16", "micro_batch": micro, **settings})
        warm_up(engine)
        row = pace(Work(shape=shape, engine=engine, steps=steps))
        record({**row, "packing": engine.packing})
        start_measuring()
        smallest = min(smallest, row["micro_batch"])
    if smallest < micro:
        engine = EngineConfig(precision="bf16", micro_batch=smallest, compile="on")
        record(pace(Work(shape=shape, engine=engine, steps=steps)))
