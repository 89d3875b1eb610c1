"""A trial that pauses, or loses its worker, ends as one that was never interrupted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainers.components.losses import LogConf
from trainers.components.optim import Adamw
from trainers.components.stages import Chain, SelfTrain
from trainers.components.staging.members import Ensemble
from trainers.components.staging.refine import Evolve
from trainers.components.staging.relabel import OutOfFold, Posterior
from trainers.components.students import Lora, Probe
from trainers.data.settings import SplitSizes, ToyTask
from trainers.data.toy_task import load_toy
from trainers.method import Method
from trainers.models.pool import ModelPool
from trainers.models.prompts import render
from trainers.models.settings import ToyModel
from trainers.training.checkpoint import Checkpoint
from trainers.training.settings import EngineConfig
from trainers.trial.workbench import Intermediate, Materials, Report, Workbench

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm")]
RUNGS = (1 / 9, 1 / 3, 1.0)
OPTIM = Adamw(lr=3e-3, epochs=2, batch_size=16)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    task = load_toy(ToyTask(splits=SplitSizes(weak_train=1, transfer=48, search=40, test=1)))
    strong, weak = ToyModel(size="strong", pretrain_steps=20), ToyModel(size="weak")
    materials = Materials(
        weak_probs=np.where(task.truth["transfer"] == 1, 0.9, 0.1).astype(np.float32)[None],
        tokens={split: render(strong, task.inputs[split]) for split in ("transfer", "search")},
        intermediates=(
            Intermediate(
                model=weak, tokens={one: render(weak, task.inputs[one]) for one in ("transfer", "search")}
            ),
        ),
    )
    pool = ModelPool(strong, cache=tmp_path_factory.mktemp("cache"))
    return Workbench(materials, pool, EngineConfig())


def train(
    bench: Workbench, method: Method, rungs: tuple[float, ...], kept: Checkpoint | None
) -> list[Report]:
    return list(bench.train(method, seed=0, split="search", rungs=rungs, checkpoint=kept))


EVOLVE = Evolve(steps=7, pairs=2, examples=16)
AGAIN = SelfTrain(rounds=2, fresh=False, targets="hard")
SEQUENCES: dict[str, dict[str, Any]] = {
    "once": {},
    "self_train": {"stages": AGAIN},
    "ensemble": {"members": Ensemble(count=3)},
    "chain": {"stages": Chain()},
    "lora": {"student": Lora(rank=2)},
    "probe": {"student": Probe()},
    "posterior": {"relabel": Posterior(rounds=2)},
    "out_of_fold": {"relabel": OutOfFold(folds=3)},
    "evolve a probe": {"student": Probe(), "refine": EVOLVE},
    "evolve adapters": {"student": Lora(rank=2), "refine": EVOLVE},
    "all": {
        "student": Probe(),
        "relabel": OutOfFold(),
        "stages": AGAIN,
        "refine": EVOLVE,
        "members": Ensemble(count=2, aggregate="median"),
    },
}


@pytest.mark.parametrize("slots", SEQUENCES.values(), ids=list(SEQUENCES))
def test_a_trial_that_pauses_at_every_rung_tells_the_same(
    bench: Workbench, tmp_path: Path, slots: dict[str, Any]
) -> None:
    method = Method(optim=OPTIM, loss=LogConf(), **slots)
    whole = train(bench, method, RUNGS, None)
    kept = Checkpoint(folder=tmp_path / "trial")
    paused = [report for rung in RUNGS for report in train(bench, method, (rung,), kept)]
    assert [report.share for report in paused] == list(RUNGS)
    assert [report.labels for report in paused] == [whole[0].labels, None, None]
    assert whole[0].labels is not None
    for ours, theirs in zip(paused, whole, strict=True):
        assert np.array_equal(ours.predictions, theirs.predictions)


@pytest.mark.parametrize("name", ["once", "self_train", "posterior", "out_of_fold", "evolve a probe", "all"])
def test_a_trial_whose_worker_died_goes_on_from_the_rung_before(
    bench: Workbench, tmp_path: Path, name: str
) -> None:
    method, kept = Method(optim=OPTIM, **SEQUENCES[name]), Checkpoint(folder=tmp_path / "trial", after_s=0)
    whole = train(bench, method, RUNGS, None)
    first = bench.train(method, seed=0, split="search", rungs=RUNGS, checkpoint=kept)
    next(first), next(first)
    first.close()  # type: ignore[attr-defined]  # the second rung was reported, the state is of the first
    second = train(bench, method, RUNGS, kept)
    assert [report.share for report in second][-2:] == [1 / 3, 1.0]
    for ours, theirs in zip(second[-2:], whole[-2:], strict=True):
        assert np.array_equal(ours.predictions, theirs.predictions)


@pytest.mark.parametrize("name", ["once", "ensemble", "posterior"])
def test_a_pause_that_nobody_heard_of_is_told_again(bench: Workbench, tmp_path: Path, name: str) -> None:
    method, kept = Method(optim=OPTIM, **SEQUENCES[name]), Checkpoint(folder=tmp_path / "trial")
    (said,) = train(bench, method, (1 / 3,), kept)
    (again,) = train(bench, method, (1 / 3,), kept)
    assert (again.share, again.predictions.tolist()) == (said.share, said.predictions.tolist())


def test_a_lost_checkpoint_costs_time_only(bench: Workbench, tmp_path: Path) -> None:
    method = Method(optim=OPTIM)
    (end,) = train(bench, method, (1.0,), Checkpoint(folder=tmp_path / "gone"))
    assert np.array_equal(end.predictions, train(bench, method, RUNGS, None)[-1].predictions)


def test_the_state_of_another_trial_is_left_alone(bench: Workbench, tmp_path: Path) -> None:
    kept = Checkpoint(folder=tmp_path / "trial")
    train(bench, Method(optim=OPTIM, members=Ensemble(count=3)), (1 / 3,), kept)
    other = Method(optim=Adamw(lr=1e-2, epochs=2, batch_size=16), members=Ensemble(count=3))
    assert np.array_equal(
        train(bench, other, (1.0,), kept)[0].predictions, train(bench, other, (1.0,), None)[0].predictions
    )


def test_a_smaller_micro_batch_changes_no_prediction(bench: Workbench) -> None:
    method = Method(optim=OPTIM)
    (whole,) = bench.train(method, seed=0, split="search", rungs=(1.0,))
    (pieces,) = bench.train(method, seed=0, split="search", rungs=(1.0,), micro_batch=5)
    np.testing.assert_allclose(pieces.predictions, whole.predictions, atol=1e-5)
