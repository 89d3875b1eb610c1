import os
from pathlib import Path

import numpy as np
import pytest
import torch

from search.config.load import load_config
from search.config.schema import RunConfig
from search.engine.assignment import Assignment
from search.ledger.events import Purpose
from search.workers.member import Member, Work
from tests.small_runs.settings import REPO
from trainers.components.optim import Adamw
from trainers.data.dataset import load_task
from trainers.method import Method
from trainers.models.prompts import render
from trainers.trial.kept_models import kept_weights
from trainers.trial.model_data import unshared
from trainers.trial.workbench import Materials

SIZES = {"weak_train": 1, "transfer": 24, "search": 10, "test": 14}
METHOD = Method(optim=Adamw(lr=3e-3, epochs=3, batch_size=8))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    splits = ", ".join(f"{name}: {size}" for name, size in SIZES.items())
    settings = [
        f"task.splits={{{splits}}}",
        "strong.model={kind: toy, size: weak}",
        f"cache={tmp_path_factory.mktemp('cache')}",
        "trial.cpus=1",
    ]
    return load_config(REPO / "configs/dev.yaml", settings)


def member(config: RunConfig, checkpoints: Path) -> Member:
    """With the transfer split in the place of the test split, to see what a student has learnt by heart."""
    task = load_task(config.task)
    right = task.truth["transfer"].astype(np.float32)
    materials = Materials(
        weak_probs=np.stack([0.1 + 0.8 * right, 0.9 - 0.8 * right]),
        tokens={
            split: render(config.strong.model, task.inputs["transfer" if split == "test" else split])
            for split in SIZES
        },
    )
    return Member(
        Work(config=config, materials=materials, shared=unshared, checkpoints=checkpoints)  # type: ignore[arg-type]
    )


def assignment(
    trial: str, purpose: Purpose = "search", seed: int = 2, rungs: tuple[float, ...] = (1.0,)
) -> Assignment:
    return Assignment(trial=trial, purpose=purpose, method=METHOD, seed=seed, rungs=rungs)


def test_a_confirmation_answers_the_test_split_and_all_else_the_search_split(
    config: RunConfig, tmp_path: Path
) -> None:
    own = member(config, tmp_path)
    purposes: tuple[Purpose, ...] = ("search", "replicate", "confirm")
    answered = {p: [len(r.predictions) for r in own.train(assignment("t1", p))] for p in purposes}
    assert answered == {"search": [10], "replicate": [10], "confirm": [24]}


def test_the_seed_decides_whose_labels_are_learnt(config: RunConfig, tmp_path: Path) -> None:
    """Of two supervisors an even seed has the one that is right, an odd seed the one that is always wrong."""
    own = member(config, tmp_path)
    by_heart = Method(optim=Adamw(lr=1e-2, epochs=20, batch_size=8))
    truth = load_task(config.task).truth["transfer"]
    right = []
    for seed in (2, 3):
        asked = assignment(f"c{seed}", "confirm", seed).model_copy(update={"method": by_heart})
        [report] = own.train(asked)
        right.append(float(((report.predictions > 0.5) == (truth == 1)).mean()))
    assert right[0] > 0.9
    assert right[1] < 0.1


def test_a_paused_trial_goes_on_in_another_process_from_its_own_folder(
    config: RunConfig, tmp_path: Path
) -> None:
    [first] = member(config, tmp_path).train(assignment("t7", rungs=(1 / 3,)))
    assert first.share == 1 / 3
    assert [path.name for path in tmp_path.iterdir()] == ["t7"]
    [last] = member(config, tmp_path).train(assignment("t7", rungs=(1.0,)))
    [_, whole] = member(config, tmp_path / "none").train(assignment("t8", rungs=(1 / 3, 1.0)))
    assert np.array_equal(last.predictions, whole.predictions)


def test_it_computes_on_as_many_cores_as_a_trial_is_given(config: RunConfig, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    cores = min(2, os.cpu_count() or 1)
    try:
        trial = config.trial.model_copy(update={"cpus": float(cores)})
        member(config.model_copy(update={"trial": trial}), tmp_path)
        assert torch.get_num_threads() == cores
        member(config.model_copy(update={"trial": trial.model_copy(update={"cpus": 0.5})}), tmp_path)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_models_of_the_confirmation_are_kept_where_that_is_asked_for(
    config: RunConfig, tmp_path: Path
) -> None:
    keeps = config.model_copy(update={"confirm": config.confirm.model_copy(update={"keep_models": True})})
    for name, settings, purpose in (
        ("t1", keeps, "search"),
        ("c1", config, "confirm"),
        ("c2", keeps, "confirm"),
    ):
        list(member(settings, tmp_path / "checkpoints").train(assignment(name, purpose)))
    assert [folder.name for folder in (tmp_path / "models").iterdir()] == ["c2"]
    assert len(kept_weights(tmp_path / "models" / "c2")) == 1
