"""Trained weights, handed from a finished training to the next."""

from collections.abc import Mapping

import torch

from trainers.components.students import Student
from trainers.gang import load_deepspeed

TrainedWeights = Mapping[str, torch.Tensor]


def trained_weights(student: Student) -> TrainedWeights:
    """A copy of the trained parameters on the CPU, by name. ZeRO-3: call it before the engine closes."""
    wanted = {id(parameter) for parameter in student.parameters}
    named = [(name, p) for name, p in student.module.named_parameters() if id(p) in wanted]
    if not any(hasattr(parameter, "ds_id") for _, parameter in named):
        return {name: parameter.detach().cpu().clone() for name, parameter in named}
    # Under ZeRO-3 each process holds a part of every weight.
    with load_deepspeed().zero.GatheredParameters([parameter for _, parameter in named]):
        return {name: parameter.detach().cpu().clone() for name, parameter in named}


@torch.no_grad()
def load_weights(student: Student, weights: TrainedWeights) -> None:
    """Load the `trained_weights` of a student of the same kind."""
    own = dict(student.module.named_parameters())
    for name, value in weights.items():
        own[name].copy_(value)
