from typing import Any

import numpy as np
import pytest
import torch

from trainers.components.optim import Adamw
from trainers.components.staging.members import Ensemble
from trainers.components.staging.refine import Evolve
from trainers.components.students import Probe, Student
from trainers.components.weak_labels import Evidence
from trainers.method import Method
from trainers.models.head import new_head
from trainers.training.inputs import FeatureInputs
from trainers.training.orders import Asked
from trainers.training.settings import EngineConfig
from trainers.trial.stage_runner import StageRunner
from trainers.trial.stage_training import run_stage

FEATURES = FeatureInputs(features=torch.randn(20, 4, generator=torch.Generator().manual_seed(0)))
ASKED = Asked(shown=FEATURES, swapped=None)
WEAK = torch.sigmoid(2 * FEATURES.features[:, 0]).numpy()
SLOTS: dict[str, Any] = {
    "student": Probe(),
    "optim": Adamw(lr=0.05, epochs=20, batch_size=10),
    "refine": Evolve(steps=6, pairs=2),
}


def runner(**slots: Any) -> StageRunner:
    evidence = Evidence(weak_probs=WEAK, features=lambda: WEAK, prior=lambda: WEAK, seed=1)
    return StageRunner(Method(**(SLOTS | slots)), evidence, seed=1)


@pytest.mark.parametrize("place", [0, 1])
def test_a_stage_trains_or_evolves(place: int) -> None:
    trial, head = runner(), new_head(4, seed=0)
    before = head.weight.detach().clone()
    student = Student(module=head, parameters=list(head.parameters()), layer=1)
    shares = list(run_stage(trial, place, student, ASKED, (0.5, 1.0), EngineConfig(), [], [], [], ends=True))
    assert shares == [0.5, 1.0]
    moved = (head.weight - before).abs().max()
    assert moved > 0
    if place == 0:  # it has learned what the weak labels say
        answers = head(FEATURES.features)
        right = ((answers[:, 1] > answers[:, 0]).numpy() == (WEAK > 0.5)).mean()
        assert right > 0.8


def test_members_evolve_differently() -> None:
    trial = runner(members=Ensemble(count=2))
    found = []
    for place in (1, 3):
        head = new_head(4, seed=0)
        student = Student(module=head, parameters=list(head.parameters()), layer=1)
        list(run_stage(trial, place, student, ASKED, (1.0,), EngineConfig(), [], [], [], ends=True))
        found.append(head.weight.detach().numpy())
    assert not np.array_equal(*found)
