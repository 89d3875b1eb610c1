import pytest
from pydantic import ValidationError

from search.config.learners import LearnerConfig, SupervisorConfig
from trainers.components.optim import Adamw
from trainers.components.students import Full
from trainers.models.settings import ToyModel

SETTINGS = {"model": {"kind": "toy", "size": "weak"}, "optim": {"kind": "adamw", "lr": 1e-3}}


def test_all_weights_are_trained_unless_asked() -> None:
    for kind in (SupervisorConfig, LearnerConfig):
        found = kind.model_validate(SETTINGS)
        assert (found.model, found.student, found.optim) == (ToyModel(size="weak"), Full(), Adamw(lr=1e-3))


def test_only_a_supervisor_may_be_a_bag_of_words() -> None:
    words = {**SETTINGS, "student": {"kind": "bag_of_words"}}
    assert SupervisorConfig.model_validate(words).student.kind == "bag_of_words"
    with pytest.raises(ValidationError, match="bag_of_words"):
        LearnerConfig.model_validate(words)
