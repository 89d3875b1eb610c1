"""The optimizer component: AdamW and its learning-rate schedule."""

import math
from typing import Annotated, Literal

from pydantic import Field

from trainers.component import Component


class Adamw(Component):
    """AdamW with linear warm-up and decay (Loshchilov & Hutter, 2019)."""

    kind: Literal["adamw"] = "adamw"
    lr: Annotated[float, Field(ge=1e-6, le=0.1, description="peak learning rate")] = 1e-4
    schedule: Annotated[
        Literal["linear", "cosine", "constant"], Field(description="decay after warm-up, to zero or none")
    ] = "linear"
    warmup: Annotated[float, Field(ge=0, le=0.5, description="share of the steps spent warming up")] = 0.1
    weight_decay: Annotated[float, Field(ge=0, le=1, description="decoupled weight decay")] = 0.0
    batch_size: Annotated[int, Field(ge=1, le=1024, description="examples an optimizer step")] = 32
    epochs: Annotated[float, Field(ge=0.1, le=20, description="passes over the kept examples")] = 3.0
    stop: Annotated[
        float,
        Field(ge=0.01, le=1, description="share of the schedule that is trained; below 1 it ends early"),
    ] = 1.0
    beta1: Annotated[float, Field(ge=0, le=0.999, description="decay of the first moment")] = 0.9
    beta2: Annotated[float, Field(ge=0, le=0.9999, description="decay of the second moment")] = 0.95
    clip: Annotated[float, Field(ge=0, le=100, description="largest gradient norm, 0 for no clipping")] = 1.0


def lr_factor(config: Adamw, progress: float) -> float:
    """The factor on the peak learning rate at `progress`, the share of steps already taken."""
    if progress < config.warmup:
        return progress / config.warmup
    decayed = (progress - config.warmup) / (1 - config.warmup)
    match config.schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1.0 - decayed
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * decayed))
