from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainers.components.optim import Adamw
from trainers.components.students import Full, Lora
from trainers.data.settings import SplitSizes, ToyTask
from trainers.data.tokens import Tokens
from trainers.data.toy_task import load_toy
from trainers.models.prompts import render
from trainers.models.settings import HubModel, ToyModel
from trainers.training.settings import EngineConfig
from trainers.trial import baselines
from trainers.trial.baselines import BaselineData, BaselineJob, cache_path, model_digest, train_baseline

TOKENS = Tokens(ids=np.array([1, 2, 3], dtype=np.int32), offsets=np.array([0, 1, 3], dtype=np.int64))
TRUTH = np.array([0, 1], dtype=np.int8)
DATA = BaselineData(learn=TOKENS, truth=TRUTH, predict={"search": TOKENS})


def job(**changes: Any) -> BaselineJob:
    optim = Adamw(lr=0.01, epochs=20, batch_size=8)
    model, engine = ToyModel(size="weak"), EngineConfig()
    values = {"role": "weak", "model": model, "student": Full(), "optim": optim, "engine": engine, "seed": 3}
    return BaselineJob(**(values | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "ceiling"},
        {"student": Lora()},
        {"optim": Adamw(lr=0.02, epochs=20, batch_size=8)},
        {"engine": EngineConfig(zero_stage=1)},
        {"seed": 4},
    ],
)
def test_answers_are_cached_apart_for_every_setting(tmp_path: Path, changes: dict[str, Any]) -> None:
    kept = cache_path(job(), "data", "weights", tmp_path)
    assert kept == cache_path(job(), "data", "weights", tmp_path)
    assert (kept.parent, kept.suffix) == (tmp_path / "baselines", ".npz")
    assert cache_path(job(**changes), "data", "weights", tmp_path) != kept


def test_answers_are_cached_apart_for_other_data_weights_and_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = {
        cache_path(job(), data, weights, tmp_path)
        for data, weights in (("data", "weights"), ("other", "weights"), ("data", "other"))
    }
    monkeypatch.setattr(baselines, "VERSION", baselines.VERSION + 1)
    assert len(paths | {cache_path(job(), "data", "weights", tmp_path)}) == 4


def test_the_data_s_digest_changes_with_tokens_labels_splits_and_words() -> None:
    shifted = replace(TOKENS, ids=TOKENS.ids + np.int32(1))
    divided = replace(TOKENS, offsets=np.array([0, 2, 3], dtype=np.int64))
    others = [
        replace(DATA, learn=shifted),
        replace(DATA, learn=divided),
        replace(DATA, learn=replace(TOKENS, words=(1, 2))),
        replace(DATA, truth=1 - TRUTH),
        replace(DATA, predict={"search": shifted}),
        replace(DATA, predict={"test": TOKENS}),
        replace(DATA, predict={"search": TOKENS, "test": TOKENS}),
    ]
    assert len({data.digest for data in [DATA, *others]}) == 8
    turned = {"test": TOKENS, "search": TOKENS}
    assert replace(DATA, predict=turned).digest == replace(DATA, predict=dict(sorted(turned.items()))).digest


def test_a_model_is_known_by_its_weights_and_its_settings_wherever_it_lies() -> None:
    here, there = (HubModel(path=path, max_length=8) for path in ("here", "there"))
    assert model_digest(here, "weights") == model_digest(there, "weights") != model_digest(here, "others")
    assert model_digest(here, "weights") != model_digest(here.model_copy(update={"max_length": 9}), "weights")
    toy = ToyModel(size="strong")
    assert model_digest(toy, "weights") != model_digest(
        toy.model_copy(update={"readout": "label_tokens"}), "weights"
    )


@pytest.mark.usefixtures("warm")
def test_a_baseline_learns_ground_truth_and_its_seed_decides_the_rest(tmp_path: Path) -> None:
    task = load_toy(ToyTask(splits=SplitSizes(weak_train=24, transfer=1, search=7, test=1)))
    model = ToyModel(size="weak")
    learn, search = (render(model, task.inputs[split]) for split in ("weak_train", "search"))
    truth = task.truth["weak_train"]
    data = BaselineData(learn=learn, truth=truth, predict={"search": search, "weak_train": learn})
    answers = train_baseline(job(), data, tmp_path)
    assert {split: (found.shape, found.dtype) for split, found in answers.items()} == {
        "search": ((7,), np.float32),
        "weak_train": ((24,), np.float32),
    }
    assert ((answers["weak_train"] > 0.5) == (truth == 1)).mean() > 0.9  # by heart, after twenty epochs
    again = train_baseline(job(), data, tmp_path)
    assert np.array_equal(again["search"], answers["search"])
    other = train_baseline(job(seed=4), data, tmp_path)
    assert not np.array_equal(other["search"], answers["search"])
