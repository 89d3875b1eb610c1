"""Any method that validates must train: random methods from the catalogue, each run for a few steps."""

import itertools
import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import ValidationError

from tests.small_runs.random_methods import draw_method
from trainers.component import Component
from trainers.components.losses import Kl
from trainers.components.stages import STAGES
from trainers.components.staging.members import MEMBERS
from trainers.components.staging.refine import REFINES
from trainers.components.staging.relabel import RELABELS
from trainers.components.students import Lora, Probe
from trainers.data.examples import Examples, SplitName
from trainers.data.settings import ToyTask
from trainers.data.toy_task import load_toy
from trainers.data.toy_text import NEGATIVE, POSITIVE
from trainers.method import SLOTS
from trainers.models.pool import ModelPool
from trainers.models.prompts import ask, render
from trainers.models.settings import HubModel, ToyModel
from trainers.training.deepspeed_engine import warm_up
from trainers.training.settings import EngineConfig
from trainers.trial.workbench import Intermediate, Materials, Workbench

log = logging.getLogger(__name__)

# Methods in each world of the toy task; a tenth of it in the others. RANDOM_METHODS=300 takes a long coffee.
METHODS = int(os.environ.get("RANDOM_METHODS", "40"))
TRANSFER, SEARCH = 32, 12
RUNGS = (1 / 9, 1 / 3, 1.0)


def toy_inputs() -> dict[SplitName, Examples]:
    splits = {"weak_train": 1, "transfer": TRANSFER, "search": SEARCH, "test": 1}
    return dict(load_toy(ToyTask(splits=splits)).inputs)  # type: ignore[arg-type]


def pair_inputs() -> dict[SplitName, Examples]:
    def pairs(n: int) -> Examples:
        prompts = tuple(f"what was the food like {i}?" for i in range(n))
        return Examples(texts=prompts, pairs=tuple(zip(POSITIVE[:n], NEGATIVE[:n], strict=True)))

    return {"transfer": pairs(TRANSFER), "search": pairs(SEARCH)}


def workbench(
    strong: HubModel | ToyModel,
    inputs: dict[SplitName, Examples],
    between: list[HubModel | ToyModel],
    cache: Path,
) -> Workbench:
    def tokens(model: HubModel | ToyModel) -> dict[SplitName, Any]:
        return {split: render(model, inputs[split]) for split in ("transfer", "search")}

    def swapped(model: HubModel | ToyModel) -> dict[SplitName, Any]:
        pairs = {split: examples for split, examples in inputs.items() if examples.pairs is not None}
        return {split: render(model, pairs[split].exchanged()) for split in pairs}

    warm_up(EngineConfig())
    materials = Materials(
        weak_probs=np.random.default_rng(0).uniform(size=(2, TRANSFER)).astype(np.float32),
        weak_spread=np.random.default_rng(1).uniform(0, 0.5, size=(2, TRANSFER)).astype(np.float32),
        tokens=tokens(strong),
        swapped=swapped(strong),
        questions=ask(strong, inputs["transfer"]),
        intermediates=tuple(
            Intermediate(model=model, tokens=tokens(model), swapped=swapped(model)) for model in between
        ),
    )
    return Workbench(materials, ModelPool(strong, cache=cache), EngineConfig())


def run(
    bench: Workbench,
    count: int,
    seed: int,
    wanted: Sequence[type[Component]] = (),
    last: type[Component] = Kl,
) -> Counter[str]:
    """Train `count` random methods; every one that is not refused has to train.

    wanted: components that all of them have. last: one that the last two have.
    """
    counts: Counter[str] = Counter()
    rng = np.random.default_rng(seed)
    while counts["trained"] < count:
        counts["drawn"] += 1
        try:
            method = draw_method(rng, *wanted, last if counts["trained"] >= count - 2 else None)
        except ValidationError:
            counts["refused by validation"] += 1
            continue
        if method.refused(bench.abilities):
            counts["refused by the campaign"] += 1
            continue
        reports = list(bench.train(method, seed=int(rng.integers(1000)), split="search", rungs=RUNGS))
        assert [report.share for report in reports] == list(RUNGS), method
        for report in reports:
            assert report.predictions.shape == (SEARCH,), method
            assert np.isfinite(report.predictions).all(), method
        counts["trained"] += 1
        counts |= Counter({f"{slot}.{getattr(method, slot).kind}": 1 for slot in SLOTS})
    log.info("%s", ", ".join(f"{name} {counts[name]}" for name in counts if "." not in name))
    return counts


def worlds(request: pytest.FixtureRequest, cache: Path) -> Workbench:
    match request.param:
        case "toy, head" | "toy, label tokens":
            readout: Literal["head", "label_tokens"] = "head" if "head" in request.param else "label_tokens"
            strong = ToyModel(size="strong", pretrain_steps=3, readout=readout)
            return workbench(strong, toy_inputs(), [ToyModel(size="weak", readout=readout)] * 4, cache)
        case "decoder, pairs":
            path = str(request.getfixturevalue("shared") / "models/stories260K")
            asked = HubModel(path=path, max_length=96, readout="label_tokens")
            return workbench(asked, pair_inputs(), [HubModel(path=path, max_length=96)], cache)
        case _:
            path = str(request.getfixturevalue("minilm"))
            return workbench(HubModel(path=path, max_length=24), toy_inputs(), [], cache)


@pytest.fixture(
    scope="module", params=["toy, head", pytest.param("toy, label tokens", marks=pytest.mark.slow)]
)
def toy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return worlds(request, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module", params=["decoder, pairs", "encoder"])
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return worlds(request, tmp_path_factory.mktemp("cache"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_hundreds_of_methods_train(toy: Workbench) -> None:
    counts = run(toy, METHODS, seed=2)  # the last ones have kl, which most other components rule out
    assert counts["trained"] == METHODS
    kinds = {f"{slot}.{kind}" for slot, components in SLOTS.items() for kind in components}
    kinds -= {"inputs.both_orders"}  # single texts have one order
    for seed in range(3, 10):  # a component that most others rule out may need more draws
        if not kinds <= counts.keys():
            counts |= run(toy, METHODS // 4, seed)
    assert kinds <= counts.keys()  # every component took part


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("relabel", RELABELS)
@pytest.mark.parametrize("refine", REFINES)
def test_every_sequence_of_trainings_trains(
    toy: Workbench, relabel: type[Component], refine: type[Component]
) -> None:
    """With each kind of stages and members; all else at random, but students whose weights may evolve."""
    for seed, (stages, members) in enumerate(itertools.product(STAGES, MEMBERS)):
        students = (Probe, Lora) if seed % 3 else (Lora,)
        wanted = (relabel, refine, stages, members, *students)
        assert run(toy, 1, seed, wanted, last=relabel)["trained"] == 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_methods_train_on_pretrained_models(hub: Workbench) -> None:
    counts = run(hub, METHODS // 10, seed=3)
    assert counts["trained"] == METHODS // 10
    assert (counts["inputs.both_orders"] > 0) is hub.abilities.pairs
