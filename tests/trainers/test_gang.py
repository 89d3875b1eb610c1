import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from trainers.components.losses import Xent
from trainers.components.optim import Adamw
from trainers.components.selecting.plans import Phase, Plan
from trainers.components.staging.refine import Evolve
from trainers.components.students import Probe, Student
from trainers.gang import GangMember, follow, joined, lead, meeting_point, name_accelerator
from trainers.models.head import new_head
from trainers.training.evolution import evolve
from trainers.training.loop import Checkpoint, Diverged, FeatureInputs, Recipe, fit
from trainers.training.settings import EngineConfig

# Every process imports torch and DeepSpeed first: seconds on a quiet machine, minutes on a busy one.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
N = 24
Rungs = list[list[float]]


@dataclass(frozen=True, kw_only=True)
class Act:
    """A training of a gang that rank 0 ends after so many rungs."""

    name: str
    stage: int
    rungs: int
    folder: str
    poison: bool = False
    evolves: bool = False
    compiled: str | None = None


# One pair of processes plays all of it: a gang that ends must leave its members fit for the next.
ACTS = [
    act
    for stage in (0, 2)
    for act in (
        Act(name=f"whole-{stage}", stage=stage, rungs=3, folder=f"whole-{stage}"),
        Act(name=f"begun-{stage}", stage=stage, rungs=2, folder=f"trial-{stage}"),
        Act(name=f"resumed-{stage}", stage=stage, rungs=3, folder=f"trial-{stage}"),
    )
] + [
    Act(name=f"poisoned-{stage}", stage=stage, rungs=3, folder=f"poisoned-{stage}", poison=True)
    for stage in (0, 1)
]
ACTS += [
    Act(name="evolved", stage=0, rungs=3, folder="evolved", evolves=True),
    Act(name="evolution-begun", stage=0, rungs=2, folder="evolution", evolves=True),
    Act(name="evolution-resumed", stage=0, rungs=3, folder="evolution", evolves=True),
]
ACTS += [
    Act(
        name=f"layers-{compiled}-{stage}",
        stage=stage,
        rungs=3,
        folder=f"layers-{compiled}-{stage}",
        compiled=compiled,
    )
    for stage in (0, 2)
    for compiled in ("off", "on")
]


class Layer(nn.Linear):
    """A layer of its own class: torch leaves those of its own uncompiled."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input).tanh()


class Layers(nn.Module):
    """Layers that can be compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(3, 3) for _ in range(2))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            features = layer(features)
        return features


def evolution(home: Path | None) -> Iterator[list[float]]:
    """At every rung its share and a head's weights; with three pairs, members have unequal parts."""
    head = new_head(3, seed=0)
    student = Student(module=head, parameters=list(head.parameters()), layer=1)
    inputs = FeatureInputs(features=torch.randn(N, 3, generator=torch.Generator().manual_seed(0)))
    config = Evolve(steps=5, pairs=3, sigma=0.3)
    kept = home and Checkpoint(folder=home, after_s=0)
    rungs, engine = (0.2, 0.6, 1.0), EngineConfig()
    for share in evolve(
        student, config, Probe(), inputs, rungs, rate=0.5, seed=1, engine=engine, checkpoint=kept
    ):
        yield [share, *head.weight.detach().flatten().tolist()]


def training(act: Act, home: Path) -> Iterator[list[float]]:
    """At every rung its share and the weights of a layer."""
    if act.evolves:
        yield from evolution(home / act.folder)
        return
    features = torch.randn(N, 3, generator=torch.Generator().manual_seed(0))
    targets = torch.sigmoid(2 * features[:, 0]).numpy()
    if act.poison:
        features[0] = torch.inf  # one member has this example, the other must hear of it
    torch.manual_seed(0)
    body = (Layers(), nn.Identity()) if act.compiled else (nn.Linear(3, 4), nn.Dropout(0.2))
    model = nn.Sequential(*body, nn.Linear(3 if act.compiled else 4, 2))
    recipe = Recipe(
        plan=Plan(phases=(Phase(start=0.0, weights=np.ones(N, dtype=np.float32), lr_scale=1.0),)),
        loss=Xent(),
        optim=Adamw(lr=0.01, epochs=2, batch_size=5),
        engine=EngineConfig.model_validate({"zero_stage": act.stage, "compile": act.compiled or "off"}),
        seed=0,
    )
    kept = Checkpoint(folder=home / act.folder, after_s=0)
    inputs, rungs = FeatureInputs(features=features), (0.2, 0.6, 1.0)
    for share in fit(model, list(model.parameters()), inputs, targets, recipe, rungs, checkpoint=kept):
        yield [share, *model[2].weight.detach().flatten().tolist()]


def play(rank: int, home: Path, answers: Any) -> None:
    """One member's life."""
    found: dict[str, Rungs | str | int] = {}
    compiles = nn.Module.compile

    def traces(layer: nn.Module, **_: Any) -> None:
        compiles(layer, backend="eager", dynamic=False)  # all that compiling does, but for the compiler

    nn.Module.compile = traces  # type: ignore[method-assign]
    for act in ACTS:
        member = GangMember(rank=rank, world_size=2, init_method=f"file://{home / act.name}.meeting")
        try:
            found[act.name] = leads(member, act, home) if rank == 0 else follows(member, act, home)
        except Diverged as error:
            found[act.name] = str(error)
    found["graphs"] = int(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    answers.put((rank, found))


def leads(member: GangMember, act: Act, home: Path) -> Rungs:
    trial = lead(member, lambda: training(act, home))
    reached = [next(trial) for _ in range(act.rungs)]
    trial.close()  # type: ignore[attr-defined]  # it is a generator
    return reached


def follows(member: GangMember, act: Act, home: Path) -> Rungs:
    follow(member, lambda: training(act, home))
    return []


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What rank 0 and rank 1 found in every act."""
    home, spawn = tmp_path_factory.mktemp("gang"), multiprocessing.get_context("spawn")
    answers: Any = spawn.Queue()
    members = [spawn.Process(target=play, args=(rank, home, answers)) for rank in range(2)]
    for member in members:
        member.start()
    found = dict(answers.get(timeout=600) for _ in members)
    for member in members:
        member.join(120)
    assert [member.exitcode for member in members] == [0, 0]
    return [found[0], found[1]]


@pytest.mark.parametrize("stage", [0, 2])
def test_a_gang_that_was_stopped_goes_on_from_its_last_rung(played: list[dict[str, Any]], stage: int) -> None:
    whole = played[0][f"whole-{stage}"]
    assert [share for share, *_ in whole] == [0.2, 0.6, 1.0]
    assert played[0][f"begun-{stage}"] == whole[:2]
    # Asked for its second rung, the gang had saved the first; bit for bit, dropout included.
    assert played[0][f"resumed-{stage}"] == whole


@pytest.mark.parametrize("stage", [0, 2])
def test_a_gang_trains_compiled_layers_as_it_does_uncompiled(
    played: list[dict[str, Any]], stage: int
) -> None:
    assert all(found["graphs"] > 0 for found in played)
    expected = np.array(played[0][f"layers-off-{stage}"])
    assert np.abs(expected[0] - expected[-1])[1:].max() > 1e-3
    np.testing.assert_allclose(played[0][f"layers-on-{stage}"], expected, atol=1e-6)


def test_a_gang_evolves_as_a_process_alone(played: list[dict[str, Any]]) -> None:
    alone = np.array(list(evolution(None)))
    assert np.abs(alone[0] - alone[-1])[1:].max() > 1e-3
    np.testing.assert_allclose(played[0]["evolved"], alone, atol=1e-6)
    assert played[0]["evolution-begun"] == played[0]["evolved"][:2]
    assert played[0]["evolution-resumed"] == played[0]["evolved"]


@pytest.mark.parametrize(("stage", "cause"), [(0, "the loss is nan"), (1, "the gradient is not finite")])
def test_all_members_see_that_one_members_numbers_are_not_finite(
    played: list[dict[str, Any]], stage: int, cause: str
) -> None:
    causes = {found[f"poisoned-{stage}"] for found in played}
    assert len(causes) == 1
    assert f"{cause} at step" in causes.pop()


def test_deepspeed_is_told_its_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS_ACCELERATOR", "xpu")
    name_accelerator()
    assert os.environ["DS_ACCELERATOR"] == "xpu"  # a person's own word
    monkeypatch.delenv("DS_ACCELERATOR")
    name_accelerator()
    assert os.environ["DS_ACCELERATOR"] == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_meeting_point_is_a_free_port_of_the_host() -> None:
    scheme, host, port = meeting_point("127.0.0.1").split(":")
    assert (scheme, host) == ("tcp", "//127.0.0.1")
    assert 1024 < int(port) < 65536


@pytest.mark.parametrize("scheme", ["tcp", "file"])
def test_whoever_does_not_come_to_the_meeting_is_not_waited_for_without_end(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainers.gang.MEETING_PATIENCE", timedelta(seconds=1))
    meet = meeting_point() if scheme == "tcp" else f"file://{tmp_path / 'meeting'}"
    with (
        pytest.raises(RuntimeError, match=r"(?i)time.*out"),
        joined(GangMember(rank=0, world_size=2, init_method=meet)),
    ):
        pass
