"""Which rungs a method is judged at: those where its training has begun in earnest. Pure."""

import math
from collections.abc import Sequence

from trainers.components.stages import SelfTrain
from trainers.components.staging.sequence import ROUNDING, place_of, total_length
from trainers.components.staging.stage import Stage
from trainers.method import Method


def steps_of_a_training(method: Method, examples: int, stage: Stage | None = None) -> int:
    """Optimizer steps of a training of the method, by its whole schedule; of the first if no stage is given.

    examples: in the transfer split. Pairs in both orders are two examples each. An estimate: selections that
    balance classes may keep fewer than their share.
    """
    kept = max(1, round(kept_share(method, stage or Stage()) * examples)) * method.inputs.trained
    return max(1, round(method.optim.epochs * math.ceil(kept / method.optim.batch_size)))


def kept_share(method: Method, stage: Stage) -> float:
    """The share of the transfer split that an epoch passes over, in one order or in both."""
    kept = method.select.kept
    if stage.teacher == "self" and isinstance(method.stages, SelfTrain):
        kept = method.stages.share if method.stages.targets == "confident" else 1.0
    return kept * stage.length


def rungs_of(method: Method, rungs: Sequence[float], *, examples: int, min_steps: int) -> tuple[int, ...]:
    """The indices of the rungs that say something of a method; the last rung is always one of them.

    rungs: rising shares of the method's training, the last one 1. examples: in the transfer split. At a rung
    inside the warm-up of a training, or after fewer than `min_steps` steps of it, scores say little about
    the method, so it trains on to the next rung. A chain has no rung before its strong student trains.
    """
    return tuple(
        place
        for place, share in enumerate(rungs)
        if share == 1 or _says_something(method, share, examples, min_steps)
    )


def merged_rungs(method: Method, rungs: Sequence[float], *, examples: int, min_steps: int) -> str | None:
    """A sentence on the rungs at which a method is not judged; None if there are none. As for `rungs_of`."""
    kept = rungs_of(method, rungs, examples=examples, min_steps=min_steps)
    if len(kept) == len(rungs):
        return None
    merged = [f"{share:.3g}" for place, share in enumerate(rungs) if place not in kept]
    judged = [f"{rungs[place]:.3g}" for place in kept]
    return (
        f"search.pruning.rungs: {', '.join(merged)} of a training such as naive's say too little and are "
        f"merged with the next, so that it is judged at {', '.join(judged)}: {examples} examples give it "
        f"{steps_of_a_training(method, examples)} optimizer steps, and a rung needs search.pruning.min_steps "
        f"({min_steps}) and an end of the warm-up; more data or more epochs help"
    )


def _says_something(method: Method, share: float, examples: int, min_steps: int) -> bool:
    stages = method.sequence()
    place, within = place_of(stages, share * method.optim.stop * total_length(stages))
    stage = stages[place]
    if stage.evolves:  # its student is trained
        return True
    if stage.learner is not None:
        return False
    steps = math.ceil(within * steps_of_a_training(method, examples, stage) - ROUNDING)
    return within > method.optim.warmup + ROUNDING and steps >= min_steps
