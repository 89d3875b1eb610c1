"""Chooses micro-batch and gradient checkpointing: the fastest of what is predicted to fit.

Measured on an H200 (Qwen3-4B, LoRA, bf16, 1,024 tokens): a pass forward and backward takes 54.8 µs a token
and 52.6 ms besides, as long as 960 tokens (16,384 of them ran at 17,228 tokens/s, 8,192 at 16,325); with
checkpointing it takes 1.37 times as long (11,944 tokens/s at 8,192). What a pass takes besides hardly depends
on the width of a model, what a token takes on its square.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trainers.training.memory.activations import ModelShape
from trainers.training.memory.prediction import predict_memory
from trainers.training.settings import EngineConfig

log = logging.getLogger(__name__)

CHECKPOINTED = 16_325 / 11_944  # the time of a pass with checkpointing, for one without
PASS_TOKENS, PASS_HIDDEN = 960, 2560  # tokens that take as long as a pass does besides, at this width


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A way to run a training. tokens: of a pass. bytes: predicted, on the device."""

    micro_batch: int
    checkpointing: bool
    tokens: int
    bytes: int

    def seconds(self, hidden: int) -> float:
        """Relative seconds of a token in a model of this width."""
        besides = PASS_TOKENS * (PASS_HIDDEN / hidden) ** 2
        return (1 + besides / self.tokens) * (CHECKPOINTED if self.checkpointing else 1.0)


def fastest(shape: ModelShape, engine: EngineConfig, room: int, *, batch_size: int, **sizes: Any) -> Choice:
    """The fastest choice that fits `room` bytes; where none fits, the smallest.

    What the engine's settings give is kept. sizes: the remaining arguments of `predict_memory`.
    """
    every = list(choices(shape, engine, batch_size=batch_size, **sizes))
    fitting = [choice for choice in every if choice.bytes <= room]
    if not fitting:
        return min(every, key=lambda choice: choice.bytes)
    return min(fitting, key=lambda choice: choice.seconds(shape.hidden))


def choices(shape: ModelShape, engine: EngineConfig, *, batch_size: int, **sizes: Any) -> Iterator[Choice]:
    """Every choice that the engine's settings leave: halvings of a member's share of the batch."""
    share: int = -(-batch_size // sizes.get("world_size", 1))
    asked = engine.gradient_checkpointing
    for checkpointing in (False, True) if asked is None else (asked,):
        micro = min(engine.micro_batch or share, share)
        while micro >= 1:
            tried = engine.model_copy(update={"micro_batch": micro, "gradient_checkpointing": checkpointing})
            yield Choice(
                micro_batch=micro,
                checkpointing=checkpointing,
                tokens=micro * sizes["length"],
                bytes=predict_memory(shape, tried, batch_size=batch_size, **sizes).device,
            )
            micro = 0 if engine.micro_batch else micro // 2


def fitted(
    shape: ModelShape, engine: EngineConfig, room: int, *, batch_size: int, **sizes: Any
) -> EngineConfig:
    """The engine's settings with micro-batch and checkpointing decided. Arguments as for `fastest`."""
    if engine.is_decided:
        return engine
    chosen = fastest(shape, engine, room, batch_size=batch_size, **sizes)
    log.info(
        "micro-batch %d, gradient checkpointing %s: %.3g GB predicted of %.3g GB",
        chosen.micro_batch,
        "on" if chosen.checkpointing else "off",
        chosen.bytes / 1e9,
        room / 1e9,
    )
    return engine.model_copy(
        update={"micro_batch": chosen.micro_batch, "gradient_checkpointing": chosen.checkpointing}
    )
