"""Decides the micro-batch and the checkpointing of a training at hand, by the memory of this process."""

from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from trainers.gang import world_size
from trainers.training.compilation import wants_compiled
from trainers.training.deepspeed_engine import device
from trainers.training.memory.activations import ModelShape
from trainers.training.memory.choice import fitted
from trainers.training.memory.prediction import training_room
from trainers.training.settings import EngineConfig

_limit: list[int] = []  # bytes, if this process has a limit of its own


def limit_memory(gigabytes: float | None) -> None:
    """Make trainings of this process fit so many gigabytes of device memory; None: all of its GPU's."""
    _limit[:] = [] if gigabytes is None else [int(gigabytes * 10**9)]


def decided(
    engine: EngineConfig, model: nn.Module, parameters: list[nn.Parameter], longest: int, batch_size: int
) -> EngineConfig:
    """The engine's settings with nothing left open, for a training of these parameters of a model.

    longest: tokens of the longest example. All members of a gang decide the same. Where the memory or the
    model's shape is not known, a micro-batch that is open stays all of a member's share of the batch.
    """
    if engine.is_decided:
        return engine
    shape, room = _shape(model), _room()
    if shape is None or room is None:
        return engine.model_copy(update={"gradient_checkpointing": engine.gradient_checkpointing or False})
    trained = {id(parameter) for parameter in parameters}
    frozen = [parameter for parameter in model.parameters() if id(parameter) not in trained]
    return fitted(
        shape,
        engine,
        room,
        trainable=sum(parameter.numel() for parameter in parameters),
        frozen=sum(parameter.numel() for parameter in frozen),
        batch_size=max(batch_size, world_size()),
        length=longest,
        world_size=world_size(),
        half_body=any(parameter.dtype == torch.bfloat16 for parameter in frozen),
        on_gpu=device().type == "cuda",
        compiled=wants_compiled(engine, model),
    )


def _shape(model: nn.Module) -> ModelShape | None:
    """The shape of a model's body; None where its configuration does not say, or there is none."""
    config: Any = getattr(getattr(model, "body", None), "config", None)
    return ModelShape.of(config) if hasattr(config, "num_attention_heads") else None


def _room() -> int | None:
    """Bytes for a training of this process, in a gang those of the member that has least; None: not known."""
    on_gpu = device().type == "cuda"
    if not _limit and not on_gpu:
        return None
    room = training_room(_limit[0] if _limit else torch.cuda.get_device_properties(0).total_memory)
    if world_size() == 1:
        return room
    least = torch.tensor(room, device=device())
    dist.all_reduce(least, op=dist.ReduceOp.MIN)
    return int(least.item())
