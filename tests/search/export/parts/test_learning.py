"""What the trainings of an exported method learn; test_recipe.py compares answers with the trainers'."""

from typing import Any

import numpy as np
import pytest

from search.export.parts.learning import (
    Learned,
    Lessons,
    OwnAnswers,
    Recipe,
    in_both_orders,
    learned_from_itself,
    made_targets,
    seed_of,
)
from search.export.parts.training import no_prior
from trainers.components.labels import Hard, Smoothed, hard, smoothed
from trainers.components.losses import Xent, xent
from trainers.components.optim import Adamw
from trainers.components.selecting.plans import Plan, alike
from trainers.components.selection import All, keep_all
from trainers.components.staging.relabel import OutOfFold, out_of_fold
from trainers.components.staging.stage import Fold, Stage
from trainers.components.students import Probe, probe
from trainers.components.weak_labels import Evidence


def recipe(**more: Any) -> Recipe:
    plain: dict[str, Any] = {
        "labels": [(hard, Hard())],
        "select": (keep_all, All()),
        "batch_loss": (xent, Xent()),
        "student": (probe, Probe()),
        "optim": Adamw(epochs=1, batch_size=2),
        "trained": 1,
        "answered": 1,
        "seed": 3,
    }
    return Recipe(**(plain | more))


def test_each_step_takes_the_probabilities_of_the_last() -> None:
    evidence = Evidence(
        weak_probs=np.array([0.2, 0.9]), features=lambda: np.zeros((2, 1)), prior=no_prior, seed=0
    )
    made = made_targets([(hard, Hard()), (smoothed, Smoothed(epsilon=0.2))], evidence)
    assert made.tolist() == pytest.approx([0.1, 0.9])


@pytest.mark.parametrize(
    ("targets", "expected", "kept"),
    [("soft", [0.1, 0.45, 0.8], 3), ("hard", [0, 0, 1], 3), ("confident", [0, 0, 1], 2)],
)
def test_a_student_learns_its_own_answers(targets: str, expected: list[float], kept: int) -> None:
    evidence = Evidence(weak_probs=np.array([0.1, 0.45, 0.8]), features=no_prior, prior=no_prior, seed=0)
    own = OwnAnswers(targets=targets, share=2 / 3)
    learned = learned_from_itself(own, evidence)
    assert learned.targets.tolist() == pytest.approx(expected)
    assert np.count_nonzero(learned.plan.phases[0].weights) == kept


def test_both_orders_have_mirrored_targets() -> None:
    plan = Plan(phases=(alike(np.array([True, False])),))
    both = in_both_orders(Learned(targets=np.float32([0.2, 0.9]), plan=plan))
    assert both.targets.tolist() == pytest.approx([0.2, 0.9, 0.8, 0.1])
    assert both.plan.phases[0].weights.tolist() == [1, 0, 1, 0]


def test_folds_are_gathered_and_make_the_labels_of_the_next_training() -> None:
    folds = [Stage(fold=Fold(held_out=part, of=2), answers=False) for part in range(2)]
    evidence = Evidence(
        weak_probs=np.float32([0.9, 0.8, 0.2, 0.1]), features=no_prior, prior=no_prior, seed=3
    )
    stages = [*folds, Stage(teacher="relabelled")]
    relabel = (out_of_fold, OutOfFold(answer="hard"))
    lessons = Lessons(recipe(stages=stages, relabel=relabel), evidence)
    says = np.float32([0.1, 0.2, 0.8, 0.9])
    for place, stage in enumerate(folds):
        learned = lessons.of(stage)
        assert learned.targets.tolist() == [1, 1, 0, 0]
        assert np.count_nonzero(learned.plan.phases[0].weights) == 2  # the other half
        assert lessons.due(stage, 1.0) == 1.0
        lessons.take(place, lambda rows: says if rows is None else says[rows])
    assert lessons.of(stages[-1]).targets.tolist() == [0, 0, 1, 1]


def test_a_part_of_a_training_is_whole_steps_and_members_have_seeds_of_their_own() -> None:
    evidence = Evidence(weak_probs=np.float32([0.9] * 8), features=no_prior, prior=no_prior, seed=3)
    lessons = Lessons(recipe(), evidence)
    assert [lessons.due(Stage(), part) for part in (0.1, 0.5, 0.51, 0.76)] == [1 / 8, 3 / 8, 5 / 8, 1.0]
    seeds = [seed_of(recipe(), Stage(member=member)) for member in (0, 1, 2)]
    assert (seeds[0], len(set(seeds))) == (3, 3)
