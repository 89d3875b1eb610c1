"""Moves a trained student of an exported method by its evolution strategy, alone and without checkpoints."""

import math
from typing import Any

from trainers.components.staging.sequence import ROUNDING
from trainers.training.deepspeed_engine import device
from trainers.training.evolution import Evolution, halve_what_stays
from trainers.training.orders import Asked


def evolved(
    config: Any,
    student: Any,
    kind: Any,
    learn: Asked,
    rate: float,
    seed: int,
    share: float,
    *,
    half: bool = False,
) -> None:
    """Move a student in place, up to a share of the steps.

    kind: its settings, which say what of it moves. learn: the transfer examples, pairs in both orders. rate:
    the share of class 1 that single texts are held to. half: whether the student was trained in bfloat16.
    """
    if half and student.layer is None:
        halve_what_stays(student)
    student.module.to(device())
    evolution = Evolution(student, config, kind, learn.shown, swapped=learn.swapped, rate=rate, seed=seed)
    last = max(1, math.ceil(share * config.steps - ROUNDING))
    for step, take in enumerate(evolution.steps()):
        if step == last:
            break
        take()
    student.module.eval()
