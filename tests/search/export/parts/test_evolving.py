from typing import Any

import torch

from search.export.parts.evolving import evolved
from trainers.components.staging.refine import Evolve
from trainers.components.students import Probe, Student
from trainers.models.head import new_head
from trainers.training.inputs import FeatureInputs
from trainers.training.orders import Asked


def moved(share: float) -> Any:
    head = new_head(3, seed=0)
    student = Student(module=head, parameters=list(head.parameters()), layer=1)
    inputs = FeatureInputs(features=torch.randn(20, 3, generator=torch.Generator().manual_seed(1)))
    learn = Asked(shown=inputs, swapped=None)
    evolved(Evolve(steps=4, pairs=2, examples=16), student, Probe(), learn, 0.5, 7, share)
    assert not head.training
    return head.weight.detach()


def test_it_goes_as_far_as_its_share_and_the_same_way_each_time() -> None:
    start = new_head(3, seed=0).weight
    assert torch.equal(moved(1.0), moved(1.0))
    assert not torch.equal(moved(0.5), moved(1.0))
    assert not torch.equal(moved(0.1), start)  # one step at least
