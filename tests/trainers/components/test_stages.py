from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.components.stages import (
    STAGES,
    Chain,
    Once,
    SelfTrain,
    own_targets,
    stages_of,
    taught_by,
)
from trainers.components.staging.stage import Stage
from trainers.components.weak_labels import Evidence


def evidence(predictions: list[float]) -> Evidence:
    probs = np.array(predictions, dtype=np.float32)
    return Evidence(weak_probs=probs, features=lambda: np.eye(len(probs)), prior=lambda: probs, seed=0)


def test_once_is_one_training() -> None:
    assert stages_of(Once(), 3) == ((Stage(),), ())


@pytest.mark.parametrize("fresh", [True, False])
def test_self_training_learns_from_the_weak_labels_first(fresh: bool) -> None:
    first, others = stages_of(SelfTrain(rounds=3, fresh=fresh), 0)
    assert first == (Stage(),)
    assert others == (Stage(teacher="self", continues=not fresh),) * 3


@pytest.mark.parametrize(
    ("given", "length", "learners"),
    [(1, 1, [0]), (3, 1, [1]), (3, 2, [0, 2]), (4, 2, [1, 2]), (4, 4, [0, 1, 2, 3]), (5, 3, [1, 2, 4])],
)
def test_a_chain_goes_through_evenly_spread_models(given: int, length: int, learners: list[int]) -> None:
    (first, *others), further = stages_of(Chain(length=length), given)
    assert further == ()
    assert first == Stage(learner=learners[0])
    assert [stage.learner for stage in others] == [*learners[1:], None]
    assert {stage.teacher for stage in others} == {"previous"}


@given(given=st.integers(1, 12), length=st.integers(1, 4))
def test_a_chain_grows(given: int, length: int) -> None:
    if length <= given:
        *learners, last = (stage.learner for stage in stages_of(Chain(length=length), given)[0])
        assert last is None
        known = [learner for learner in learners if learner is not None]
        assert known == sorted(set(known))
        assert len(known) == length
        assert 0 <= known[0] <= known[-1] < given


@pytest.mark.parametrize(
    ("targets", "expected", "kept"),
    [
        ("soft", [0.9, 0.4, 0.5, 0.2], [1, 1, 1, 1]),
        ("hard", [1, 0, 0, 0], [1, 1, 1, 1]),
        ("confident", [1, 0, 0, 0], [1, 0, 0, 1]),
    ],
)
def test_what_a_student_learns_from_itself(
    targets: Literal["soft", "hard", "confident"], expected: list[float], kept: list[int]
) -> None:
    learned = own_targets(SelfTrain(targets=targets, share=0.5), evidence([0.9, 0.4, 0.5, 0.2]))
    np.testing.assert_allclose(learned.targets, expected, rtol=1e-6)
    assert learned.targets.dtype == np.float32
    (phase,) = learned.plan.phases
    assert phase.weights.tolist() == kept


def test_a_model_takes_the_weak_supervisors_place() -> None:
    before = evidence([0.1, 0.2])
    after = taught_by(before, np.array([0.7, 0.8], dtype=np.float32))
    assert after.weak_probs.tolist() == pytest.approx([0.7, 0.8])
    assert after.prior is before.prior


def test_the_registry_has_every_component() -> None:
    assert {config.model_fields["kind"].default for config in STAGES} == {
        "once",
        "self_train",
        "chain",
    }
