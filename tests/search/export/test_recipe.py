import ast
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from search.config.schema import RunConfig
from search.export.choice import Chosen
from search.export.recipe import FUNCTIONS, asks, needs_spread, script
from search.ledger.record import Record
from tests.search.export.conftest import OPTIM, Trained
from trainers.components.formulas.labels import LabelFormula, RepairFormula
from trainers.components.formulas.losses import LossFormula
from trainers.components.formulas.weights import WeightFormula
from trainers.components.labels import LABELS, Balanced, Median, Smoothed, Soft
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
    REPAIRS,
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
    SELECTIONS,
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
from trainers.components.weak_labels import Evidence
from trainers.data.examples import Task
from trainers.method import Method
from trainers.models.pool import load_tokenizer
from trainers.models.settings import ToyModel
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


SMALLER = (ToyModel(size="weak"), ToyModel(size="strong", pretrain_steps=20, readout="label_tokens"))


def written(trained: Trained, method: Method) -> str:
    chosen = Chosen(name="best", method=method, seed=3, split="test")
    return script(trained.config, Record(), chosen, Path("it.py"), trained.learn)


def answers(trained: Trained, method: Method, base: Path) -> Any:
    """What the text of the file makes of the same examples."""
    text = written(trained, method)
    for package in ("search", "trainers", "agents", "deepspeed", "ray"):
        assert f"import {package}" not in text
        assert f"from {package}" not in text
    it = as_module(text)
    known = {"spread": trained.spread} if needs_spread(method) else {}
    strong, *smaller = (
        it.Base(it.replace(reading, path=str(base / reading.path)))
        for reading in (it.READING, *it.SMALLER.values())
    )
    chain = {
        number: (model, trained.learn, trained.asked)
        for number, model in zip(it.SMALLER, smaller, strict=True)
    }
    return it.run(it.RECIPE, strong, trained.learn, trained.weak, trained.asked, known, chain)


def as_module(text: str) -> Any:
    it = ModuleType("it")
    sys.modules["it"] = it  # dataclasses look there
    exec(compile(text, "it.py", "exec"), vars(it))
    return it


@pytest.fixture(scope="module")
def base(small: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the folders of the pretrained models lie."""
    folder = tmp_path_factory.mktemp("base")
    models = {"it-model": small.strong.model, "it-model-0": SMALLER[0], "it-model-1": SMALLER[1]}
    for name, model in models.items():
        build_toy_model(model, cache=small.cache_dir).save_pretrained(folder / name)
        load_tokenizer(model).save_pretrained(folder / name)
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


def test_smaller_models_teach_one_another_and_then_the_strong_one(
    trained: Callable[..., Trained], base: Path
) -> None:
    """The first has a vocabulary of its own, the second answers with a word."""
    method = Method(labels=Median(), stages=Chain(length=2), student=Probe(), optim=PROBE)
    expected = trained(method, smaller=SMALLER)
    assert expected.probs.std() > 0.01
    np.testing.assert_allclose(answers(expected, method, base), expected.probs, atol=1e-4)


@pytest.mark.slow
def test_of_several_smaller_models_those_of_the_chain_are_there(
    trained: Callable[..., Trained], base: Path
) -> None:
    method = Method(
        stages=Chain(length=1),
        relabel=OutOfFold(folds=2),
        members=Ensemble(count=2),
        student=Probe(),
        optim=PROBE.model_copy(update={"stop": 0.9}),
    )
    expected = trained(method, smaller=SMALLER)
    assert "SMALLER: dict[int, Reading] = {1: " in written(expected, method)
    np.testing.assert_allclose(answers(expected, method, base), expected.probs, atol=1e-4)


ASKED = {
    "elicited": Method(
        repair=Elicited(),
        loss=LossFormula(expression="ce(t) * (1 - 0.5 * abs(prior - t))"),
        select=Agreement(),
        student=Probe(),
        optim=PROBE,
    ),
    "channel": Method(repair=NoisyChannel(), second_repair=Consistency(), student=Probe(), optim=PROBE),
    "per example": Method(repair=ChannelPerExample(), student=Probe(), optim=PROBE),
}


NOTED = ("prior", "margins", "consistency", "spread")


@pytest.mark.parametrize("component", [*LABELS, *REPAIRS, *SELECTIONS])
def test_all_that_a_component_asks_is_found(component: Any) -> None:
    """Found in its text, and noted as it runs."""
    noted = set[str]()

    def noting(name: str, answer: Any) -> Any:
        return lambda: noted.add(name) or answer

    rng = np.random.default_rng(0)
    evidence = Evidence(
        weak_probs=rng.uniform(size=40),
        features=lambda: rng.normal(size=(40, 4)).astype(np.float32),
        seed=0,
        **{name: noting(name, rng.uniform(size=(1, 2, 40) if name == "margins" else 40)) for name in NOTED},
    )
    config = component()
    given = (evidence.weak_probs,) if component in SELECTIONS else ()
    FUNCTIONS[component](config, evidence, *given)
    slot = "select" if component in SELECTIONS else "repair" if component in REPAIRS else "labels"
    method = Method.model_construct(**{slot: config})
    found = {*asks(method), *(["spread"] if needs_spread(method) else [])}
    assert found == noted


@pytest.mark.parametrize(("name", "pairs"), [("elicited", True), ("channel", False), ("per example", True)])
def test_the_untouched_model_is_asked(
    name: str, pairs: bool, trained: Callable[..., Trained], base: Path
) -> None:
    expected = trained(ASKED[name], pairs=pairs)
    assert expected.probs.std() > 0.01
    np.testing.assert_allclose(answers(expected, ASKED[name], base), expected.probs, atol=1e-4)


@pytest.mark.parametrize(
    ("engine", "method"),
    [
        (EngineConfig(micro_batch=7), Method(select=SmallLoss(), loss=LogConf(), optim=OPTIM)),
        (
            EngineConfig(precision="bf16", micro_batch=8),
            Method(
                student=Lora(rank=4, dropout=0.2),
                stages=SelfTrain(targets="hard", fresh=False),
                refine=Evolve(steps=2, pairs=2, examples=32),
                optim=OPTIM.model_copy(update={"lr": 1e-2}),
            ),
        ),
    ],
)
def test_batches_in_pieces_and_half_precision_are_the_same(
    engine: EngineConfig, method: Method, trained: Callable[..., Trained], base: Path
) -> None:
    expected = trained(method, engine=engine)
    assert expected.probs.std() > 0.01
    np.testing.assert_allclose(answers(expected, method, base), expected.probs, atol=1e-4)


def test_the_engine_of_the_run_is_told_where_it_is_not_the_usual_one(small: RunConfig, task: Task) -> None:
    half = small.model_copy(update={"engine": EngineConfig(precision="bf16", zero_stage=2)})
    half = half.model_copy(update={"trial": half.trial.model_copy(update={"cpus": 4})})
    chosen = Chosen(name="best", method=Method(), seed=3, split="test")
    usual, told = (
        script(config, Record(), chosen, Path("it.py"), task.inputs["transfer"]).partition("RECIPE =")[2]
        for config in (small, half)
    )
    assert "    threads=4,\n    precision='bf16',\n    zero_stage=2,\n" in told
    assert not any(name in usual for name in ("precision", "threads"))


def test_no_name_of_a_run_ends_the_docstring(small: RunConfig, task: Task) -> None:
    openings = 'the test split has been opened 2 times, by a"""\\, b'
    chosen = Chosen(name="best", method=Method(), seed=3, split="test", openings=openings)
    text = script(small, Record(), chosen, Path("it.py"), task.inputs["transfer"])
    said = ast.get_docstring(ast.parse(text))
    assert said is not None
    assert 'by a"""\\, b.' in said
