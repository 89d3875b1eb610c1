"""The sequence of a method's trainings, and where in it a rung falls.

Each member goes through it whole: the training on weak labels, through a chain if there is one; relabelling,
which trains again; self-training; refinement without gradients.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from trainers.components.stages import Stages, stages_of
from trainers.components.staging.members import Members
from trainers.components.staging.refine import Evolve, Refine
from trainers.components.staging.relabel import Relabel
from trainers.components.staging.stage import Fold, Stage

ROUNDING = 1e-9  # shares such as 1/9 are not exact

DueRungs = dict[float, list[float]]  # shares of a stage -> rungs of the whole method due there


@lru_cache(1024)
def sequence(
    stages: Stages, relabel: Relabel, refine: Refine, members: Members, given: int
) -> tuple[Stage, ...]:
    """The trainings of a method, in order. given: the number of intermediate models."""
    first, further = stages_of(stages, given)
    own = [*first[:-1], *_relabelled(first[-1], relabel), *further]
    if isinstance(refine, Evolve):
        own.append(Stage(evolves=True, continues=True))
    last = len(own) - 1
    return tuple(
        replace(stage, member=member, answers=place == last)
        for member in range(members.count)
        for place, stage in enumerate(own)
    )


def _relabelled(learned: Stage, relabel: Relabel) -> list[Stage]:
    """The student's training on its first labels and those on labels made anew, folds before the whole."""
    rounds = [learned, *[Stage(teacher="relabelled")] * relabel.rounds]
    if relabel.folds == 1:
        return rounds
    parts = [Fold(held_out=part, of=relabel.folds) for part in range(relabel.folds)]
    folded = [replace(stage, fold=part) for stage in rounds[:-1] for part in parts]
    return [*folded, rounds[-1]]


def total_length(stages: Sequence[Stage]) -> float:
    """The length of a sequence, in whole trainings."""
    return sum(stage.length for stage in stages)


def place_of(stages: Sequence[Stage], done: float) -> tuple[int, float]:
    """The stage that a progress in whole trainings falls into, and the share of it that is done, in (0, 1].

    The end of a stage belongs to it, not to the next. done: above 0; more than the whole is its end.
    """
    start = 0.0
    for place, stage in enumerate(stages):
        if done <= start + stage.length + ROUNDING:
            return place, min(1.0, (done - start) / stage.length)
        start += stage.length
    return len(stages) - 1, 1.0


def due_rungs(
    stages: Sequence[Stage], steps: Sequence[int], rungs: Sequence[float], stop: float = 1.0
) -> list[DueRungs]:
    """For each stage, the rising shares at which it stops, with the rungs due there.

    steps: of each stage. stop: the share of the sequence that the method trains. rungs: rising shares of
    that; a rung falls on the first step at which its share is done. Every stage stops at its end, 1, even if
    no rung is due. With fewer steps than rungs, several rungs are due at once.
    """
    whole = total_length(stages)
    found: list[DueRungs] = [{} for _ in steps]
    for rung in rungs:
        place, part = place_of(stages, rung * stop * whole)
        step = min(steps[place], max(1, math.ceil(part * steps[place] - ROUNDING)))
        # Half a step less, so that rounding up gives exactly this step.
        share = 1.0 if step == steps[place] else (step - 0.5) / steps[place]
        found[place].setdefault(share, []).append(rung)
    return [due | ({} if 1.0 in due else {1.0: []}) for due in found]
