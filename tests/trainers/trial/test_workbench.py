import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainers.components.formulas.guide import EXAMPLES
from trainers.components.formulas.labels import LabelFormula, RepairFormula
from trainers.components.formulas.losses import LossFormula
from trainers.components.formulas.weights import WeightFormula
from trainers.components.labels import Soft
from trainers.components.losses import LogConf
from trainers.components.optim import Adamw
from trainers.components.repairs import Elicited, NoisyChannel
from trainers.components.selection import Confidence, Disagreement
from trainers.components.stages import Chain, SelfTrain
from trainers.components.staging.members import Ensemble
from trainers.components.staging.refine import Evolve
from trainers.components.staging.relabel import OutOfFold, Posterior
from trainers.components.students import Full, Lora, Probe
from trainers.data.examples import SplitName, Task
from trainers.data.settings import SplitSizes, ToyTask
from trainers.data.tokens import Tokens
from trainers.data.toy_task import load_toy
from trainers.method import Method
from trainers.models.pool import Classifier, ModelPool
from trainers.models.prompts import ask, render
from trainers.models.settings import Readout, ToyModel
from trainers.training.checkpoint import Checkpoint
from trainers.training.settings import EngineConfig
from trainers.trial.workbench import Intermediate, Materials, Report, Workbench

RUNGS = (1 / 9, 1 / 3, 1.0)
OPTIM = Adamw(lr=3e-3, epochs=2, batch_size=16)
MEMORISE = Adamw(lr=1e-2, epochs=20, batch_size=8)

pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture(scope="module")
def task() -> Task:
    return load_toy(ToyTask(splits=SplitSizes(weak_train=1, transfer=48, search=40, test=1)))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def tokens(model: ToyModel, task: Task) -> dict[SplitName, Tokens]:
    """With the transfer split in the place of the test split, to see what a student has learnt by heart."""
    learnt, asked = (render(model, task.inputs[split]) for split in ("transfer", "search"))
    return {"transfer": learnt, "search": asked, "test": learnt}


def bench(
    task: Task, cache: Path, readout: Readout = "head", intermediates: int = 1, zero: int = 0
) -> Workbench:
    """Two supervisors: one that is right and sure, one that is always wrong."""
    strong = ToyModel(size="strong", pretrain_steps=20, readout=readout)
    weak = ToyModel(size="weak", readout=readout)
    right = np.where(task.truth["transfer"] == 1, 0.9, 0.1)
    materials = Materials(
        weak_probs=np.stack([right, 1 - right]).astype(np.float32),
        tokens=tokens(strong, task),
        questions=ask(strong, task.inputs["transfer"]),
        intermediates=(Intermediate(model=weak, tokens=tokens(weak, task)),) * intermediates,
    )
    return Workbench(materials, ModelPool(strong, cache=cache), EngineConfig(zero_stage=zero))


@pytest.fixture(scope="module")
def toy(task: Task, cache: Path) -> Workbench:
    return bench(task, cache)


def trained(toy: Workbench, seed: int = 0, split: SplitName = "search", **slots: Any) -> list[Report]:
    return list(toy.train(Method(**({"optim": OPTIM} | slots)), seed=seed, split=split, rungs=RUNGS))


def last(toy: Workbench, seed: int = 0, **slots: Any) -> np.ndarray:
    return trained(toy, seed, **slots)[-1].predictions


def learnt_by_heart(toy: Workbench, task: Task, **slots: Any) -> float:
    """How much of what the second supervisor says a student of this seed repeats."""
    method = Method(**({"optim": MEMORISE} | slots))
    (report,) = toy.train(method, seed=1, split="test", rungs=(1.0,))
    return float(((report.predictions > 0.5) == 1 - task.truth["transfer"]).mean())


SEQUENCES: tuple[dict[str, Any], ...] = (
    {},
    {"stages": SelfTrain(rounds=2)},
    {"stages": Chain()},
    {"members": Ensemble(count=2)},
    {"relabel": Posterior(rounds=1)},
    {"relabel": OutOfFold(), "student": Probe()},
    {"refine": Evolve(steps=9, pairs=2, sigma=0.5), "student": Probe()},
)


@pytest.mark.parametrize("slots", SEQUENCES, ids=lambda slots: "-".join(slots) or "once")
def test_every_rung_is_reported_with_predictions(toy: Workbench, slots: dict[str, Any]) -> None:
    reports = trained(toy, **slots)
    assert [report.share for report in reports] == list(RUNGS)
    for report in reports:
        assert report.predictions.shape == (40,)
        assert report.predictions.dtype == np.float32
        assert ((report.predictions >= 0) & (report.predictions <= 1)).all()
        assert min(report.train_s, report.eval_s) > 0
        assert min(report.setup_s, report.shared_s) >= 0
    assert not np.array_equal(reports[0].predictions, reports[-1].predictions)


@pytest.mark.parametrize("slots", SEQUENCES, ids=lambda slots: "-".join(slots) or "once")
def test_a_trial_at_a_rung_is_the_finished_trial_of_the_method_that_stops_there(
    toy: Workbench, slots: dict[str, Any], tmp_path: Path
) -> None:
    method = Method(**({"optim": OPTIM} | slots))
    for report in toy.train(method, seed=0, split="search", rungs=(0.6, 1.0)):
        kept = Checkpoint(folder=tmp_path / str(report.share), after_s=60)
        stopped = method.stopped_at(report.share)
        (alone,) = toy.train(stopped, seed=0, split="search", rungs=(1.0,), checkpoint=kept)
        assert alone.share == 1
        assert np.array_equal(alone.predictions, report.predictions)
        assert not kept.folder.exists()  # it ended: there is nothing to resume


def test_what_all_trials_share_is_told_apart_from_a_trials_own_start(task: Task, cache: Path) -> None:
    fresh = bench(task, cache)
    first, later = (trained(fresh, student=Probe()) for _ in range(2))
    assert first[0].shared_s > 0
    assert [report.shared_s for report in (*first[1:], *later)] == [0] * 5


@pytest.mark.parametrize("micro_batch", [None, 5])
def test_a_loss_finds_what_is_known_of_each_example(toy: Workbench, micro_batch: int | None) -> None:
    """A student of hard labels whose loss asks for the weak probability is that of soft labels."""
    asked, soft = (
        [
            r.predictions
            for r in toy.train(method, seed=0, split="search", rungs=RUNGS, micro_batch=micro_batch)
        ]
        for method in (
            Method(optim=OPTIM, loss=LossFormula(expression="ce(w)")),
            Method(optim=OPTIM, labels=Soft()),
        )
    )
    np.testing.assert_allclose(asked, soft, atol=1e-5)
    assert np.abs(asked[-1] - last(toy)).max() > 1e-3


@pytest.mark.parametrize(
    "slots",
    [
        {"labels": LabelFormula()},
        {"repair": RepairFormula(expression="w + a * (neighbours - w)")},
        {"labels": Soft(), "select": WeightFormula(expression="agreement * rank(density) * abs(t - 0.5)")},
        {"loss": LossFormula()},
        {"loss": LossFormula(expression=EXAMPLES[2].expression), "stages": SelfTrain()},
        {"loss": LossFormula(expression="ce(t) * (1 + rank(sg(margin)))"), "members": Ensemble(count=2)},
    ],
    ids=str,
)
def test_a_formula_in_each_slot_trains(toy: Workbench, slots: dict[str, Any]) -> None:
    reports = trained(toy, **slots)
    assert [report.share for report in reports] == list(RUNGS)
    assert not np.array_equal(reports[-1].predictions, last(toy))
    assert np.isfinite(reports[-1].predictions).all()


def test_a_loss_written_as_a_formula_trains_the_same_student(toy: Workbench) -> None:
    known = last(toy, loss=LogConf(aux=0.5, warmup=0.2, threshold="half"))
    ramp = "a * min(1, progress / 0.2)"
    written = last(toy, loss=LossFormula(expression=f"ce(t + {ramp} * ((f > 0.5) - t))"))
    assert written == pytest.approx(known, abs=1e-4)
    assert np.abs(known - last(toy)).max() > 1e-3


def test_the_split_asked_for_is_answered(toy: Workbench) -> None:
    assert {len(report.predictions) for report in trained(toy, split="test")} == {48}


def test_the_same_seed_gives_the_same_predictions(toy: Workbench) -> None:
    one, same, other = last(toy, 0), last(toy, 0), last(toy, 2)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_student_learns_what_its_own_supervisor_says(toy: Workbench, task: Task) -> None:
    assert learnt_by_heart(toy, task) > 0.9


@pytest.mark.slow
def test_label_tokens_learn(task: Task, cache: Path) -> None:
    assert learnt_by_heart(bench(task, cache, readout="label_tokens"), task) > 0.9


def test_an_ensembles_first_member_is_what_once_trains(toy: Workbench) -> None:
    alone = trained(toy)[-1].predictions
    reports = list(
        toy.train(
            Method(optim=OPTIM, members=Ensemble(count=2)), seed=0, split="search", rungs=(0.25, 0.5, 1.0)
        )
    )
    np.testing.assert_allclose(reports[1].predictions, alone, rtol=1e-5)
    # Half of the whole is the end of the first of two; the second pulls the average somewhere else.
    assert np.abs(reports[2].predictions - alone).max() > 1e-4


def test_an_ensemble_averages_logits(toy: Workbench) -> None:
    # Even, as the trial's own seed: alone, a student of the member's seed has the same supervisor.
    trial = next(s for s in range(0, 100, 2) if second_seed(s) % 2 == 0)
    method = Method(optim=OPTIM, members=Ensemble(count=2))
    (both,) = toy.train(method, seed=trial, split="search", rungs=(1.0,))
    alone = [last(toy, seed) for seed in (trial, second_seed(trial))]
    logits = [np.log(p / (1 - p)) for p in (*alone, both.predictions)]
    np.testing.assert_allclose((logits[0] + logits[1]) / 2, logits[2], atol=1e-4)
    assert np.abs(logits[0] - logits[1]).max() > 1e-3


def second_seed(trial: int) -> int:
    return int(np.random.SeedSequence([trial, 1]).generate_state(1)[0])


def test_a_round_without_room_to_learn_keeps_continued_weights(toy: Workbench) -> None:
    """On own hard predictions at a vanishing learning rate a continued student stays what it was."""
    reports = {}
    for fresh in (True, False):
        method = Method(optim=Adamw(lr=1e-6, epochs=1), stages=SelfTrain(fresh=fresh, targets="hard"))
        reports[fresh] = list(toy.train(method, seed=0, split="search", rungs=(0.5, 1.0)))
    np.testing.assert_allclose(reports[False][0].predictions, reports[False][1].predictions, atol=1e-3)


@pytest.mark.parametrize("student", [Full(), Lora(rank=4), Probe()])
def test_continued_weights_go_further_than_fresh_ones(toy: Workbench, student: Any) -> None:
    def far(fresh: bool) -> float:
        method = Method(optim=OPTIM, student=student, stages=SelfTrain(rounds=1, fresh=fresh, targets="hard"))
        (report,) = toy.train(method, seed=0, split="search", rungs=(1.0,))
        return float(np.abs(report.predictions - 0.5).mean())

    assert far(fresh=False) > far(fresh=True)


def test_loss_schedules_start_anew_in_each_stage(toy: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    import trainers.trial.stage_training as module

    seen: list[list[float]] = []
    fit = module.fit

    def recording(*args: Any, **more: Any) -> Iterator[float]:
        seen.append(list(args[5]))
        return fit(*args, **more)

    monkeypatch.setattr(module, "fit", recording)
    trained(toy, loss=LogConf(), stages=SelfTrain(rounds=2))
    assert [shares[-1] for shares in seen] == [1.0, 1.0, 1.0]
    assert [len(shares) for shares in seen] == [2, 1, 1]


@pytest.mark.slow
def test_a_chain_is_taught_by_the_model_before(toy: Workbench, task: Task) -> None:
    """What the weak supervisor said reaches the strong student through the one in between."""
    none = Adamw(lr=1e-6, epochs=0.1, batch_size=64)
    start, end = toy.train(Method(optim=none, stages=Chain()), seed=0, split="search", rungs=(0.5, 1.0))
    assert not np.array_equal(start.predictions, end.predictions)
    assert learnt_by_heart(toy, task, stages=Chain()) > 0.6


def test_what_the_materials_do_not_allow_is_refused(task: Task, cache: Path) -> None:
    toy = bench(task, cache, intermediates=0)
    with pytest.raises(
        ValueError, match="length must be at most 0, the intermediate models of this campaign"
    ):
        trained(toy, stages=Chain())


@pytest.mark.parametrize("repair", [Elicited(), NoisyChannel()])
def test_the_prior_is_asked_for_once(
    task: Task, cache: Path, repair: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = bench(task, cache)
    asked = []
    speaker = ModelPool.speaker
    monkeypatch.setattr(ModelPool, "speaker", lambda *a, **k: asked.append(1) or speaker(*a, **k))
    for _ in range(2):
        trained(toy, repair=repair)
    assert asked == [1]


def test_a_probe_makes_no_copy_of_the_model_once_features_are_known(
    toy: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = {"student": Probe(), "select": Disagreement(), "stages": SelfTrain()}
    first = last(toy, **method)
    monkeypatch.setattr(ModelPool, "_copies", None)
    assert np.array_equal(last(toy, **method), first)


def test_closing_a_trial_early_leaves_the_bench_usable(toy: Workbench) -> None:
    reports = toy.train(Method(optim=OPTIM), seed=0, split="search", rungs=RUNGS)
    early = next(reports)
    reports.close()  # type: ignore[attr-defined]
    whole = trained(toy)
    assert np.array_equal(early.predictions, whole[0].predictions)


def test_trials_leave_the_base_weights_as_they_were(toy: Workbench) -> None:
    pool = toy._strong.pool
    before = [p.detach().clone() for p in pool.fresh(0).parameters()]
    for student in (Full(), Lora(rank=2)):
        trained(toy, student=student, select=Confidence())
    after: Classifier = pool.fresh(0)
    assert all(torch.equal(a, b) for a, b in zip(before, after.parameters(), strict=True))


@pytest.mark.slow
def test_a_probe_trial_is_quick_once_features_are_known(toy: Workbench) -> None:
    trained(toy, student=Probe())
    started = time.process_time()
    trained(toy, student=Probe())
    assert time.process_time() - started < 2


@pytest.mark.slow
@pytest.mark.parametrize("student", [Full(), Lora(rank=4), Probe()])
def test_weights_are_carried_over_whatever_the_engine_does_with_them(
    task: Task, cache: Path, student: Any
) -> None:
    stages = SelfTrain(fresh=False, targets="hard")
    plain, *others = (
        last(bench(task, cache, zero=zero), student=student, stages=stages) for zero in (0, 2, 3)
    )
    for other in others:
        np.testing.assert_allclose(other, plain, atol=1e-4)


def test_reports_have_the_losses_since_the_last_one(toy: Workbench) -> None:
    reports = trained(toy)
    assert [len(report.losses) > 0 for report in reports] == [True] * len(RUNGS)
    assert min(loss for report in reports for loss in report.losses) > 0
    assert [report.engine for report in reports] == ["torch", *[""] * (len(RUNGS) - 1)]
