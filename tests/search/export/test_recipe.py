import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from search.config.schema import RunConfig
from search.export.choice import Chosen
from search.export.recipe import needs_spread, refused, script
from search.ledger.record import Record
from tests.search.export.conftest import OPTIM, Trained
from trainers.components.formulas.labels import LabelFormula, RepairFormula
from trainers.components.formulas.losses import LossFormula
from trainers.components.formulas.weights import WeightFormula
from trainers.components.labels import Balanced, Median, Smoothed, Soft
from trainers.components.losses import (
    Bootstrap,
    Entropy,
    Gce,
    Kl,
    LogConf,
    Product,
    ReverseKl,
    Sce,
    Window,
)
from trainers.components.optim import Adamw
from trainers.components.orders import BothOrders
from trainers.components.repairing.per_example import ChannelPerExample
from trainers.components.repairs import (
    Consistency,
    CrossFit,
    Elicited,
    EmHead,
    MeanDifference,
    Neighbours,
    NoisyChannel,
    Propagate,
)
from trainers.components.selecting.spread import Spread
from trainers.components.selection import (
    Agreement,
    Confidence,
    Curriculum,
    Disagreement,
    OverlapDensity,
    SmallLoss,
)
from trainers.components.stages import Chain, SelfTrain
from trainers.components.staging.members import Ensemble
from trainers.components.staging.refine import Evolve
from trainers.components.staging.relabel import OutOfFold, Posterior
from trainers.components.students import Full, Lora, Probe
from trainers.method import Method
from trainers.models.pool import load_tokenizer
from trainers.models.toy_model import build_toy_model
from trainers.training.settings import EngineConfig

GENTLE = Adamw(lr=0.02, epochs=4, batch_size=16)
# At twice this rate a rounding error of a feature grows a thousandfold on its way to an answer.
PROBE = Adamw(lr=0.05, epochs=12, batch_size=16, weight_decay=0.01)
METHODS = {
    "naive": Method(optim=OPTIM),
    "stop": Method(
        labels=Balanced(),
        loss=LogConf(aux=0.6),
        optim=OPTIM.model_copy(update={"stop": 0.6, "schedule": "cosine", "clip": 0.0}),
        student=Lora(rank=4, dropout=0.1),
    ),
    "repaired": Method(
        labels=Median(),
        repair=Propagate(k=5),
        select=Confidence(share=0.5, balanced=True, weights="graded"),
        student=Lora(rank=4, target="attention"),
        optim=OPTIM,
    ),
    "twice": Method(
        labels=Median(),
        repair=MeanDifference(),
        second_repair=Neighbours(k=5),
        select=OverlapDensity(),
        loss=Gce(),
        student=Probe(layer=0.5),
        optim=GENTLE,
    ),
    "crossfit": Method(
        labels=Median(rate="weak"),
        repair=CrossFit(rounds=2),
        loss=Window(radius=0.45),
        student=Probe(),
        optim=PROBE,
    ),
    "em": Method(
        labels=Soft(temperature=2), repair=EmHead(iterations=3), loss=Sce(), student=Probe(), optim=PROBE
    ),
    "channel": Method(
        labels=Smoothed(),
        repair=NoisyChannel(prior="head", iterations=3),
        student=Probe(),
        optim=PROBE,
    ),
    "small": Method(select=SmallLoss(), loss=Entropy(), student=Probe(), optim=PROBE),
    "divergence": Method(labels=Soft(), select=SmallLoss(), loss=Kl(), student=Probe(), optim=PROBE),
    "first": Method(labels=Soft(), select=Curriculum(), loss=Product(), student=Probe(), optim=PROBE),
    "sure": Method(labels=Soft(), select=Disagreement(), loss=ReverseKl(), student=Probe(), optim=PROBE),
    "itself": Method(stages=SelfTrain(targets="confident", share=0.6), optim=OPTIM),
    "goes on": Method(
        labels=Soft(),
        stages=SelfTrain(rounds=2, targets="hard", fresh=False),
        student=Lora(rank=4),
        optim=OPTIM.model_copy(update={"stop": 0.5}),
    ),
    "members": Method(
        stages=SelfTrain(targets="hard"),
        members=Ensemble(count=2, aggregate="median"),
        optim=Adamw(lr=8e-3, epochs=3, batch_size=16),
    ),
    "trimmed": Method(
        members=Ensemble(count=4, aggregate="trimmed", trim=0.25),
        student=Probe(),
        optim=PROBE.model_copy(update={"stop": 0.9}),
    ),
    "formulas": Method(
        labels=LabelFormula(),
        repair=RepairFormula(expression="w + a * (neighbours - w) * agreement", a=0.8),
        select=WeightFormula(),
        loss=LossFormula(
            expression="ce(t + 0.2 * min(1, progress) * sg((f > 0.5) - t)) + a * abs(f - probe)"
        ),
        student=Probe(),
        optim=PROBE,
    ),
    "anew": Method(labels=Soft(), relabel=Posterior(), student=Probe(), optim=PROBE),
    "folds": Method(
        labels=Soft(),
        relabel=OutOfFold(folds=2),
        select=Confidence(share=0.7),
        student=Probe(),
        optim=PROBE.model_copy(update={"stop": 0.85}),
    ),
    "evolved": Method(
        refine=Evolve(steps=4, pairs=2, examples=32, rate="weak"), student=Probe(), optim=PROBE
    ),
    "evolved adapters": Method(
        refine=Evolve(steps=3, pairs=2, examples=32),
        student=Lora(rank=4),
        optim=OPTIM.model_copy(update={"stop": 0.9}),
    ),
    "per example": Method(
        labels=Smoothed(),
        repair=ChannelPerExample(prior="head", by="features", iterations=3),
        student=Probe(),
        optim=PROBE,
    ),
    "boot": Method(labels=Soft(), loss=Bootstrap(beta=0.7), student=Probe(), optim=PROBE),
}


def written(trained: Trained, method: Method) -> str:
    chosen = Chosen(name="best", method=method, seed=3, split="test")
    return script(trained.config, Record(), chosen, Path("it.py"), "it-model")


def answers(trained: Trained, method: Method, base: Path) -> Any:
    """What the text of the file makes of the same examples."""
    text = written(trained, method)
    for package in ("search", "trainers", "agents", "deepspeed", "ray"):
        assert f"import {package}" not in text
        assert f"from {package}" not in text
    it = as_module(text)
    reading = it.replace(it.READING, path=str(base))
    known = {"spread": trained.spread} if needs_spread(method) else {}
    return it.run(it.RECIPE, it.Base(reading), trained.learn, trained.weak, trained.asked, known)


def as_module(text: str) -> Any:
    it = ModuleType("it")
    sys.modules["it"] = it  # dataclasses look there
    exec(compile(text, "it.py", "exec"), vars(it))
    return it


@pytest.fixture(scope="module")
def base(small: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pretrained model."""
    folder = tmp_path_factory.mktemp("base")
    build_toy_model(small.strong.model, cache=small.cache_dir).save_pretrained(folder)
    load_tokenizer(small.strong.model).save_pretrained(folder)
    return folder


FAST = ("repaired", "twice", "crossfit", "formulas", "folds", "evolved")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in METHODS]
)
def test_the_file_gives_the_answers_of_the_trainers(
    name: str, trained: Callable[..., Trained], base: Path
) -> None:
    expected = trained(METHODS[name])
    assert expected.probs.std() > 0.01  # answers that differ between examples
    np.testing.assert_allclose(answers(expected, METHODS[name], base), expected.probs, atol=1e-4)


def test_the_spread_of_a_panel_is_part_of_the_data(trained: Callable[..., Trained], base: Path) -> None:
    method = Method(
        labels=Median(),
        repair=RepairFormula(expression="w + a * spread * (0.5 - w)"),
        select=Spread(share=0.8),
        student=Probe(),
        optim=PROBE,
    )
    expected = trained(method, panel=True)
    assert expected.probs.std() > 0.01
    np.testing.assert_allclose(answers(expected, method, base), expected.probs, atol=1e-4)


@pytest.mark.slow
def test_a_formula_of_pairs_is_mirrored_and_evolution_sees_both_orders(
    trained: Callable[..., Trained], base: Path
) -> None:
    method = Method(
        inputs=BothOrders(),
        loss=LossFormula(expression="ce(t) * (1 - a * abs(f - w))"),
        refine=Evolve(steps=3, pairs=2, examples=32),
        student=Probe(),
        optim=PROBE,
    )
    expected = trained(method, pairs=True)
    np.testing.assert_allclose(answers(expected, method, base), expected.probs, atol=1e-4)


def test_pairs_are_learned_and_answered_in_both_orders(trained: Callable[..., Trained], base: Path) -> None:
    method = Method(inputs=BothOrders(), repair=Neighbours(k=3), student=Probe(), optim=PROBE)
    expected = trained(method, pairs=True)
    assert expected.probs.std() > 0.01
    np.testing.assert_allclose(answers(expected, method, base), expected.probs, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("student", [Full(), Lora(rank=4)])
def test_a_language_model_answers_with_two_words(
    student: Any, trained: Callable[..., Trained], base: Path
) -> None:
    method = Method(student=student, optim=OPTIM)
    expected = trained(method, readout="label_tokens")
    np.testing.assert_allclose(answers(expected, method, base), expected.probs, atol=1e-4)


@pytest.mark.parametrize(
    ("method", "named"),
    [
        (Method(stages=Chain()), "stages.chain"),
        (Method(repair=Elicited()), "repair.elicited"),
        (Method(repair=NoisyChannel()), "repair.noisy_channel"),
        (Method(repair=Consistency()), "repair.consistency"),
        (Method(select=Agreement()), "select.agreement"),
        (Method(repair=ChannelPerExample()), "repair.channel_per_example"),
        (Method(loss=LossFormula(expression="ce(t) * (1 + abs(prior - t))")), "loss.formula"),
    ],
)
def test_a_component_without_a_template_is_named(small: RunConfig, method: Method, named: str) -> None:
    reason = refused(small, method)
    assert reason == f"{named} has no template for a script: export the model with --out instead"


def test_half_precision_has_no_template(small: RunConfig) -> None:
    half = small.model_copy(update={"engine": EngineConfig(precision="bf16")})
    assert "bf16 has no template" in str(refused(half, Method()))
    assert refused(small, Method()) is None
