"""Every published method is a Method, an idea of the playbook, and trains."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.agent.catalogue import coverage, naming_tests
from benchmarks.agent.published import LADDER, Rung, beyond, idea, ladder, training_tests
from benchmarks.real_text.methods import PUBLISHED, published
from trainers.components.labels import Soft
from trainers.components.optim import Adamw
from trainers.components.selection import SmallLoss
from trainers.components.staging.members import Ensemble
from trainers.components.staging.refine import Evolve
from trainers.components.students import Probe
from trainers.data.examples import Examples
from trainers.data.toy_text import NEGATIVE, POSITIVE
from trainers.method import Method
from trainers.models.pool import ModelPool
from trainers.models.prompts import ask, render
from trainers.models.settings import HubModel
from trainers.training.deepspeed_engine import warm_up
from trainers.training.settings import EngineConfig
from trainers.trial.workbench import Materials, Workbench

NAIVE = Method(student=Probe(), optim=Adamw(lr=0.01, epochs=1, batch_size=16))


@pytest.mark.parametrize("rung", LADDER, ids=lambda rung: rung.method)
def test_a_rung_is_found_by_an_idea_of_the_playbook(rung: Rung) -> None:
    (row,) = [row for row in rows() if row["published"] == rung.name]
    assert row["beyond_the_idea"] == []
    assert row["components"]
    assert all(row["components"].values()), "a component without a test"
    assert row["trained_by"] == ["test_a_published_method_trains"]


def rows() -> list[dict[str, Any]]:
    tests_of = {(row["slot"], row["component"]): len(row["tests"]) for row in coverage()}
    return ladder(tests_of, training_tests(naming_tests))


def test_a_component_that_an_idea_does_not_offer_shows() -> None:
    assert list(beyond({"labels": Soft(), "select": SmallLoss()}, idea("curriculum"))) == [
        "select.small_loss"
    ]
    with pytest.raises(KeyError):
        idea("nothing of the kind")


def test_without_a_test_that_trains_it_a_method_is_trained_by_none(tmp_path: Path) -> None:
    assert training_tests(naming_tests, tmp_path / "test_published.py") == []
    (tmp_path / "test_published.py").write_text("def test_it_trains(): PUBLISHED\ndef test_it(): PUBLISHED\n")
    assert training_tests(naming_tests, tmp_path / "test_published.py") == ["test_it_trains"]


@pytest.fixture(scope="module")
def pairs(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """Thirty-two pairs and a decoder that can be asked about them."""
    strong = HubModel(path=str(shared / "models/stories260K"), max_length=96, readout="label_tokens")
    prompts = tuple(f"what was the food like {i}?" for i in range(32))
    inputs = Examples(texts=prompts, pairs=tuple(zip(POSITIVE[:32], NEGATIVE[:32], strict=True)))
    warm_up(EngineConfig())
    materials = Materials(
        weak_probs=np.random.default_rng(0).uniform(size=(1, 32)).astype(np.float32),
        tokens=dict.fromkeys(("transfer", "search"), render(strong, inputs)),
        swapped=dict.fromkeys(("transfer", "search"), render(strong, inputs.exchanged())),
        questions=ask(strong, inputs),
    )
    return Workbench(materials, ModelPool(strong, cache=tmp_path_factory.mktemp("cache")), EngineConfig())


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_method_trains(pairs: Workbench, name: str) -> None:
    """As published, but for how many members answer and how long an evolution goes on."""
    method = published(NAIVE, pairs.abilities)[name]
    short: dict[str, Any] = {}
    if isinstance(method.members, Ensemble):
        short["members"] = method.members.model_copy(update={"count": 3})
    if isinstance(method.refine, Evolve):
        short["refine"] = method.refine.model_copy(update={"steps": 3, "pairs": 2})
    reports = list(pairs.train(method.model_copy(update=short), seed=0, split="search", rungs=(1 / 3, 1.0)))
    assert [report.share for report in reports] == [1 / 3, 1.0]
    assert all(((report.predictions >= 0) & (report.predictions <= 1)).all() for report in reports)
    assert reports[0].labels is not None
