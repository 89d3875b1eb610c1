"""DeepSpeed: start an engine for one training, take a step, tear it down."""

import contextlib
import gc
import os
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import torch
import torch.distributed as dist
from pydantic import Field

from trainers.component import Frozen
from trainers.optim import Adamw


class EngineConfig(Frozen):
    """How trainings run: the ZeRO stage and the precision of the forward and backward pass."""

    zero_stage: Annotated[int, Field(ge=0, le=3)] = 0
    precision: Literal["fp32", "bf16"] = "fp32"


def device() -> torch.device:
    """The first GPU this process sees, or the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def deepspeed_config(config: EngineConfig, optim: Adamw) -> dict[str, Any]:
    """The DeepSpeed settings of one training; the learning rate is set before every step by `Training`."""
    return {
        "train_micro_batch_size_per_gpu": optim.batch_size,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": optim.clip,
        "zero_optimization": {"stage": config.zero_stage},
        "bf16": {"enabled": config.precision == "bf16"},
        "optimizer": {
            "type": "AdamW",
            "params": {
                "lr": optim.lr,
                "betas": [optim.beta1, optim.beta2],
                "weight_decay": optim.weight_decay,
                "torch_adam": True,
            },
        },
        "steps_per_print": 2**31,
    }


def _join_process_group() -> None:
    """A group of one needs no ports: the store lives in this process."""
    import deepspeed  # takes a second or two, and only workers need it

    if dist.is_initialized():
        return
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    os.environ.setdefault("LOCAL_RANK", "0")
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    if (
        backend == "gloo"
    ):  # this op is compiled at first use, for about 40 s, and a group of one has no use for it
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(dist_backend=backend, auto_mpi_discovery=False, verbose=False)


@contextlib.contextmanager
def training_engine(
    model: torch.nn.Module, parameters: list[torch.nn.Parameter], optim: Adamw, config: EngineConfig
) -> Iterator[Any]:
    """A DeepSpeed engine over `parameters` of `model`, destroyed on leaving.

    The process group stays for the next engine of this process: building it costs more than a short trial.
    """
    import deepspeed  # see above

    _join_process_group()
    engine, *_ = deepspeed.initialize(
        model=model, model_parameters=parameters, config=deepspeed_config(config, optim)
    )
    try:
        yield engine
    finally:
        engine.destroy()
        del engine
        gc.collect()
