"""Trials on preference pairs, shown in one order or in both, by a small real language model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainers.components.formulas.losses import LossFormula
from trainers.components.labels import Soft
from trainers.components.optim import Adamw
from trainers.components.orders import BothOrders, InputOrders, PlainInputs
from trainers.components.repairs import Consistency
from trainers.components.selection import Agreement, Curriculum, SmallLoss
from trainers.components.stages import Chain, SelfTrain
from trainers.components.staging.members import Ensemble
from trainers.components.staging.refine import Evolve, NoRefine, agreement
from trainers.components.staging.relabel import OutOfFold, Posterior
from trainers.components.students import Full, Lora, Probe
from trainers.data.examples import Examples, SplitName
from trainers.data.tokens import Tokens
from trainers.data.toy_text import NEGATIVE, POSITIVE
from trainers.method import Method
from trainers.models.pool import ModelPool
from trainers.models.prompts import ask, render
from trainers.models.settings import HubModel, Readout
from trainers.training.settings import EngineConfig
from trainers.trial import stage_training, workbench
from trainers.trial.workbench import Intermediate, Materials, Workbench

OPTIM = Adamw(lr=3e-3, epochs=2, batch_size=8)

pytestmark = pytest.mark.usefixtures("warm")


def pairs(start: int, count: int) -> Examples:
    texts = zip(POSITIVE[start : start + count], NEGATIVE[start : start + count], strict=True)
    return Examples(texts=("what was the food like?",) * count, pairs=tuple(texts))


INPUTS: dict[SplitName, Examples] = {
    "transfer": pairs(0, 24),
    "search": pairs(24, 12),
    "test": pairs(24, 12).exchanged(),  # the same pairs, so that both orders can be compared
}


def bench(shared: Path, readout: Readout = "head") -> Workbench:
    """Two supervisors: one says of every pair that its second response is better, the other knows nothing."""
    model = HubModel(path=str(shared / "models/stories260K"), max_length=96, readout=readout)

    def rendered(*, exchanged: bool) -> dict[SplitName, Tokens]:
        shown = {s: examples.exchanged() if exchanged else examples for s, examples in INPUTS.items()}
        return {split: render(model, examples) for split, examples in shown.items()}

    tokens, swapped = rendered(exchanged=False), rendered(exchanged=True)
    materials = Materials(
        weak_probs=np.stack([np.full(24, 0.9), np.linspace(0, 1, 24)]).astype(np.float32),
        tokens=tokens,
        swapped=swapped,
        questions=ask(model, INPUTS["transfer"]),
        intermediates=(Intermediate(model=model, tokens=tokens, swapped=swapped),),
    )
    return Workbench(materials, ModelPool(model, cache=shared), EngineConfig())


@pytest.fixture(scope="module")
def head(shared: Path) -> Workbench:
    return bench(shared)


@pytest.fixture(scope="module")
def either(shared: Path, request: pytest.FixtureRequest) -> Workbench:
    return bench(shared, request.param)


def logits(where: Workbench, split: SplitName, seed: int = 0, **slots: Any) -> np.ndarray:
    method = Method(**({"optim": OPTIM} | slots))
    (report,) = where.train(method, seed=seed, split=split, rungs=(1.0,))
    p = report.predictions.astype(np.float64)
    found: np.ndarray = np.log(p / (1 - p))
    return found


def test_these_materials_have_pairs(head: Workbench) -> None:
    assert head.abilities.pairs
    assert not Materials(weak_probs=np.zeros((1, 1), dtype=np.float32), tokens={}).abilities.pairs


@pytest.mark.parametrize(
    ("either", "kind", "student"),
    [  # every two of the three together
        ("head", BothOrders, Full()),
        ("head", PlainInputs, Lora(rank=4)),
        ("head", BothOrders, Probe()),
        ("label_tokens", PlainInputs, Full()),
        ("label_tokens", BothOrders, Lora(rank=4)),
        ("label_tokens", PlainInputs, Probe()),
    ],
    indirect=["either"],
)
def test_an_averaged_answer_is_half_the_difference_of_both_orders(
    either: Workbench, student: Any, kind: Any
) -> None:
    taught = {"seed": 1, "student": student, "optim": Adamw(lr=3e-3, epochs=1, batch_size=8)}
    both, alone = (taught | {"inputs": kind(answer=answer)} for answer in ("averaged", "as_shown"))
    there, back = logits(either, "search", **both), logits(either, "test", **both)
    np.testing.assert_allclose(there, -back, atol=1e-4)
    shown, exchanged = logits(either, "search", **alone), logits(either, "test", **alone)
    np.testing.assert_allclose(there, (shown - exchanged) / 2, atol=1e-4)
    assert np.abs(shown + exchanged).max() > 1e-3  # it answers differently in the other order


@pytest.mark.parametrize(
    "student",
    [
        pytest.param(Full(), marks=pytest.mark.slow),
        pytest.param(Lora(rank=4), marks=pytest.mark.slow),
        Probe(),
    ],
    ids=lambda student: student.kind,
)
def test_trained_on_both_orders_a_student_learns_no_position(head: Workbench, student: Any) -> None:
    """Of a supervisor that always prefers the second response."""
    taught = {"student": student, "optim": Adamw(lr=1e-2, epochs=4, batch_size=8)}
    plain = logits(head, "search", **taught)
    both = logits(head, "search", **taught, inputs=BothOrders(answer="as_shown"))
    assert plain.min() > 1
    assert abs(both.mean()) < 0.5


def test_an_epoch_passes_over_both_orders(head: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    fit = stage_training.fit

    def recording(
        module: Any, parameters: Any, learn: Any, targets: Any, recipe: Any, *rest: Any, **more: Any
    ):  # type: ignore[no-untyped-def]
        seen.append((len(learn.lengths), targets, recipe.plan.phases[0].weights))
        return fit(module, parameters, learn, targets, recipe, *rest, **more)

    monkeypatch.setattr(stage_training, "fit", recording)
    stages = SelfTrain(targets="soft")
    logits(head, "search", seed=1, student=Probe(), inputs=BothOrders(), stages=stages)
    for rows, targets, weights in seen:
        assert rows == len(targets) == len(weights) == 48
        np.testing.assert_allclose(targets[:24] + targets[24:], 1, atol=1e-6)
    first, own = (targets for _, targets, _ in seen)
    assert not np.array_equal(first, own)


def test_a_loss_finds_what_is_known_of_a_pair_in_either_order(head: Workbench) -> None:
    """Hard labels with a loss that asks for the weak probability teach what soft ones do, also exchanged."""
    asked, soft = (
        logits(head, "search", seed=1, student=Probe(), inputs=BothOrders(), **slots)
        for slots in ({"loss": LossFormula(expression="ce(w)")}, {"labels": Soft()})
    )
    np.testing.assert_allclose(asked, soft, atol=1e-4)


SEQUENCES: list[dict[str, Any]] = [
    {"stages": SelfTrain()},
    {"stages": Chain()},
    {"relabel": Posterior(rounds=1)},
    {"relabel": OutOfFold(folds=3)},
    {"refine": Evolve(steps=3, pairs=2)},
    {"members": Ensemble(count=2)},
]


@pytest.mark.parametrize("slots", SEQUENCES, ids=lambda slots: next(iter(slots.values())).kind)
@pytest.mark.parametrize("select", [SmallLoss(), Curriculum(), Agreement()], ids=lambda s: s.kind)
def test_every_stage_and_selection_takes_both_orders(
    head: Workbench, slots: dict[str, Any], select: Any
) -> None:
    slots = slots | {"select": select, "repair": Consistency(strength=0.5)}
    method = Method(student=Probe(), inputs=BothOrders(), optim=OPTIM, **slots)
    reports = list(head.train(method, seed=0, split="search", rungs=(1 / 9, 1 / 3, 1.0)))
    assert [report.share for report in reports] == [1 / 9, 1 / 3, 1.0]
    assert all(np.isfinite(report.predictions).all() for report in reports)


def test_an_evolution_of_pairs_makes_both_orders_agree(head: Workbench) -> None:
    """Of a student whose supervisor knew nothing, on pairs that it has not seen."""
    taught = {"student": Probe(), "optim": OPTIM, "seed": 1}
    found = {}
    for refine in (NoRefine(), Evolve(steps=60, pairs=8, sigma=0.4, lr=2, examples=24)):
        shown, swapped = (logits(head, split, **taught, refine=refine) for split in ("search", "test"))
        p, other = (1 / (1 + np.exp(-z)) for z in (shown, swapped))
        found[refine.kind] = agreement(p.astype(np.float64), other.astype(np.float64))
    assert found["evolve"] > 2 * found["none"]


def test_the_probe_without_labels_is_fitted_once_for_all_trials(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = []
    found = workbench.consistency_of_orders
    monkeypatch.setattr(workbench, "consistency_of_orders", lambda *a: fitted.append(1) or found(*a))
    where = bench(shared)
    for seed in (0, 1):
        logits(where, "search", seed=seed, student=Probe(), select=Agreement(), repair=Consistency())
    assert fitted == [1]


@pytest.mark.parametrize("inputs", [BothOrders(), PlainInputs(answer="averaged")], ids=lambda i: i.kind)
def test_single_texts_are_refused(shared: Path, inputs: InputOrders) -> None:
    model = HubModel(path=str(shared / "models/stories260K"), max_length=32)
    texts = {"transfer": Examples(texts=("one", "two")), "search": Examples(texts=("three",))}
    tokens: dict[SplitName, Tokens] = {s: render(model, texts[s]) for s in ("transfer", "search")}
    materials = Materials(weak_probs=np.zeros((1, 2), dtype=np.float32), tokens=tokens)
    where = Workbench(materials, ModelPool(model, cache=shared), EngineConfig())
    with pytest.raises(ValueError, match="needs pairs, and single texts have one order"):
        logits(where, "search", inputs=inputs)


def test_label_components_see_what_tells_both_orders_apart(head: Workbench) -> None:
    model = head._strong.pool.fresh(seed=0)
    shown, exchanged = (
        model.features(*where.pad_batch(np.arange(24), head._strong.pool.pad_id)).detach().numpy()
        for where in (head._materials.tokens["transfer"], head._materials.swapped["transfer"])
    )
    np.testing.assert_allclose(head._evidence(0).features(), shown - exchanged, atol=1e-5)
