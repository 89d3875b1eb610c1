"""Small trainings in few words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from trainers.components.losses import Loss, Xent
from trainers.components.optim import Adamw
from trainers.components.selecting.plans import Phase, Plan
from trainers.training.inputs import FeatureInputs
from trainers.training.loop import Floats, Recipe, fit
from trainers.training.settings import EngineConfig

N = 20
ENGINES: list[dict[str, Any]] = [
    {},
    {"backend": "deepspeed"},
    *({"zero_stage": stage} for stage in (1, 2, 3)),
]
SPLIT_BY_NONE = ENGINES[:-1]  # those that can go on where memory has run out, and free all they take


def everything(n: int = N) -> Plan:
    return Plan(phases=(Phase(start=0.0, weights=np.ones(n, dtype=np.float32), lr_scale=1.0),))


def recipe(
    optim: Adamw, *, plan: Plan | None = None, loss: Loss | None = None, seed: int = 0, **engine: Any
) -> Recipe:
    return Recipe(
        plan=plan or everything(),
        loss=loss or Xent(),
        optim=optim,
        engine=EngineConfig(**engine),
        seed=seed,
    )


def examples(seed: int = 0) -> tuple[FeatureInputs, Floats]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(N, 3, generator=generator)
    targets = torch.sigmoid(2 * features[:, 0] - features[:, 1]).numpy()
    return FeatureInputs(features=features), targets


def linear(seed: int = 0) -> nn.Linear:
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(2, 3, generator=torch.Generator().manual_seed(seed)))
        layer.bias.zero_()
    return layer


def trained(
    model: nn.Module, data: tuple[Any, Floats], using: Recipe, rungs: Sequence[float] = (1.0,), **more: Any
) -> list[torch.Tensor]:
    """The parameters after the last rung, read while the engine still holds them."""
    for _ in fit(model, list(model.parameters()), *data, using, rungs, **more):
        after = [parameter.detach().clone() for parameter in model.parameters()]
    return after


def assert_close(left: list[torch.Tensor], right: list[torch.Tensor], tolerance: float = 1e-6) -> None:
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a.float(), b.float(), rtol=0, atol=tolerance)
