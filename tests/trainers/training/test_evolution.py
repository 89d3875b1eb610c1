from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from trainers.components.staging.refine import Evolve, information
from trainers.components.students import Lora, Probe, Student
from trainers.models.head import new_head
from trainers.training.checkpoint import Checkpoint
from trainers.training.evolution import Evolution, evolve, moved_parameters
from trainers.training.inputs import FeatureInputs
from trainers.training.loop import Diverged, predict
from trainers.training.settings import EngineConfig

WIDTH = 6
CONFIG = Evolve(steps=12, pairs=4, sigma=0.2, examples=64)


def probe(seed: int = 0) -> Student:
    """A head that has learned something: it reads the first feature, and prefers class 1."""
    head = new_head(WIDTH, seed)
    with torch.no_grad():
        head.weight[1, 0] += 0.5
        head.bias[1] += 0.4
    return Student(module=head, parameters=list(head.parameters()), layer=1)


def inputs(n: int = 80) -> FeatureInputs:
    """Two groups, apart in the first two features."""
    rng = np.random.default_rng(0)
    side = np.repeat([1.0, -1.0], n // 2)[:, None]
    noise = rng.normal(size=(n, WIDTH))
    noise[:, :2] += 2 * side
    return FeatureInputs(features=torch.from_numpy(noise.astype(np.float32)))


def evolved(
    student: Student, rungs: tuple[float, ...] = (1.0,), seed: int = 3, **more: Any
) -> list[torch.Tensor]:
    settings: dict[str, Any] = {"rate": 0.5, "engine": EngineConfig()} | more
    shares = list(evolve(student, CONFIG, Probe(), inputs(), rungs, seed=seed, **settings))
    assert shares == [rung for rung in rungs if rung >= shares[0]]
    return [parameter.detach().clone() for parameter in student.parameters]


def same(left: list[torch.Tensor], right: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def test_answers_become_surer_and_more_even() -> None:
    student, data = probe(), inputs()
    before = information(predict(student.module, data).astype(np.float64), 0.5)
    evolved(student)
    after = information(predict(student.module, data).astype(np.float64), 0.5)
    assert before < -0.3
    assert after > before + 0.05


def test_a_step_by_hand() -> None:
    """With one pair the weights move by lr·σ·ε times the sign of the difference, whatever its size."""
    student, config = probe(), Evolve(steps=4, pairs=1, sigma=0.1, lr=0.5, examples=64)
    before = [parameter.detach().clone() for parameter in student.parameters]
    evolution = Evolution(student, config, Probe(), inputs(), swapped=None, rate=0.5, seed=3)
    next(evolution.steps())()
    seed = int(np.random.SeedSequence([3, 0, 0]).generate_state(1)[0])
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(weights.shape, generator=generator) for weights in before]
    moved = [p.detach() - b for p, b in zip(student.parameters, before, strict=True)]
    sign = torch.sign(moved[0].flatten() @ drawn[0].flatten())
    for weights, start, epsilon in zip(moved, before, drawn, strict=True):
        sigma = 0.1 * start.square().mean().sqrt()
        torch.testing.assert_close(weights, sign * 0.5 * sigma * epsilon, rtol=1e-4, atol=1e-7)
    rows = np.sort(np.random.default_rng([3, 0]).choice(80, 64, replace=False))
    found = []
    for side in (1.0, -1.0):
        with torch.no_grad():
            for parameter, start, epsilon in zip(student.parameters, before, drawn, strict=True):
                parameter.copy_(start + side * 0.1 * start.square().mean().sqrt() * epsilon)
        found.append(information(predict(student.module, inputs())[rows].astype(np.float64), 0.5))
    assert float(sign) == np.sign(found[0] - found[1])


def test_the_seed_decides_it_all() -> None:
    one, again, other = evolved(probe()), evolved(probe()), evolved(probe(), seed=4)
    assert same(one, again)
    assert not same(one, other)


def test_pauses_and_deaths_change_nothing(tmp_path: Path) -> None:
    whole = evolved(probe())
    kept = Checkpoint(folder=tmp_path / "paused")
    evolved(probe(), (1 / 3,), checkpoint=kept)
    assert same(evolved(probe(), (1 / 3, 1.0), checkpoint=kept), whole)
    kept = Checkpoint(folder=tmp_path / "died", after_s=0)
    student = probe()
    run = evolve(
        student,
        CONFIG,
        Probe(),
        inputs(),
        (1 / 3, 2 / 3, 1.0),
        rate=0.5,
        seed=3,
        engine=EngineConfig(),
        checkpoint=kept,
    )
    assert [next(run), next(run)] == [1 / 3, 2 / 3]
    run.close()  # type: ignore[attr-defined]
    assert (tmp_path / "died" / "steps-4").is_dir()
    assert same(evolved(probe(), (1 / 3, 2 / 3, 1.0), checkpoint=kept), whole)


def test_both_orders_of_a_pair_decide_where_they_are_at_hand() -> None:
    data = inputs()
    plain = evolved(probe())
    student = probe()
    swapped = FeatureInputs(features=-data.features)
    assert not same(evolved(student, swapped=swapped), plain)
    # A head without preference answers the swapped pair with the other class.
    p, other = predict(student.module, data), predict(student.module, swapped)
    first, second = predict(probe().module, data), predict(probe().module, swapped)
    assert np.abs(p - (1 - other)).mean() < np.abs(first - (1 - second)).mean()


def test_a_head_of_zeros_is_perturbed_all_the_same() -> None:
    head = new_head(WIDTH, 0)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
    student = Student(module=head, parameters=list(head.parameters()), layer=1)
    moved = evolved(student)  # no weight has a size to be a share of
    assert all(torch.isfinite(weights).all() and weights.abs().max() > 0 for weights in moved)


def test_of_adapters_the_second_matrix_moves_and_the_head() -> None:
    class Adapted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base = nn.Linear(2, 2)
            self.lora_A = nn.Linear(2, 1, bias=False)
            self.lora_B = nn.Linear(1, 2, bias=False)
            self.head = nn.Linear(2, 2)

    module = Adapted()
    module.base.requires_grad_(False)
    student = Student(module=module, parameters=[p for p in module.parameters() if p.requires_grad])
    moved = moved_parameters(student, Lora())
    assert [id(p) for p in moved] == [
        id(p) for p in (module.lora_B.weight, module.head.weight, module.head.bias)
    ]


def test_a_student_that_is_no_number_has_diverged() -> None:
    student = probe()
    with torch.no_grad():
        student.module.weight[0, 0] = float("nan")
    with pytest.raises(Diverged):
        evolved(student)
