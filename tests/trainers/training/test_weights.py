from pathlib import Path

import pytest
import torch

from trainers.components.students import Full, Lora, Probe, make_student
from trainers.models.pool import ModelPool
from trainers.models.settings import ToyModel
from trainers.training.weights import load_weights, trained_weights


@torch.no_grad()
@pytest.mark.parametrize("config", [Full(), Lora(rank=2), Probe()])
def test_weights_go_on_in_a_new_student(tmp_path: Path, config: Full | Lora | Probe) -> None:
    pool = ModelPool(ToyModel(size="weak"), cache=tmp_path)
    trained = make_student(config, pool, seed=0, words=None)
    for parameter in trained.parameters:
        parameter.add_(0.1)
    weights = trained_weights(trained)
    for parameter in trained.parameters:
        parameter.add_(1.0)  # what was copied does not follow
    on = make_student(config, pool, seed=1, words=None)
    load_weights(on, weights)
    for own, old in zip(on.parameters, trained.parameters, strict=True):
        torch.testing.assert_close(own, old - 1.0)
