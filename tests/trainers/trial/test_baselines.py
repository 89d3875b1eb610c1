from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainers.components.optim import Adamw
from trainers.components.students import BagOfWords, Full, Lora, Probe, SupervisorStudent
from trainers.data.settings import SplitSizes, ToyTask
from trainers.data.tokens import Tokens
from trainers.data.toy_task import load_toy
from trainers.models.pool import ModelPool
from trainers.models.prompts import render
from trainers.models.settings import HubModel, ToyModel
from trainers.training.settings import EngineConfig
from trainers.trial import baselines
from trainers.trial.baselines import (
    BaselineData,
    BaselineJob,
    cache_path,
    model_digest,
    train_baseline,
    train_in_parts,
)
from trainers.trial.model_data import Array

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
        {"student": Probe()},
        {"student": Probe(layer=0.5)},
        {"student": BagOfWords()},
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


def test_probes_of_two_layers_are_cached_apart(tmp_path: Path) -> None:
    layers = (job(student=Probe(layer=layer)) for layer in (0.5, 1))
    assert len({cache_path(probe, "data", "weights", tmp_path) for probe in layers}) == 2


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


@pytest.fixture(scope="module")
def data() -> BaselineData:
    task = load_toy(ToyTask(splits=SplitSizes(weak_train=24, transfer=1, search=7, test=1)))
    learn, search = (render(ToyModel(size="weak"), task.inputs[split]) for split in ("weak_train", "search"))
    truth = task.truth["weak_train"]
    return BaselineData(learn=learn, truth=truth, predict={"search": search, "weak_train": learn})


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("student", [Full(), Lora(rank=4), Probe(), BagOfWords()])
def test_a_baseline_learns_ground_truth_and_its_seed_decides_the_rest(
    data: BaselineData, tmp_path: Path, student: SupervisorStudent
) -> None:
    optim = Adamw(lr=0.01 if student.kind in ("full", "lora") else 0.1, epochs=20, batch_size=8)
    answers = train_baseline(job(student=student, optim=optim), data, tmp_path)
    assert {split: (found.shape, found.dtype) for split, found in answers.items()} == {
        "search": ((7,), np.float32),
        "weak_train": ((24,), np.float32),
    }
    right = (answers["weak_train"] > 0.5) == (data.truth == 1)
    assert right.mean() > (0.8 if student.kind == "probe" else 0.9)  # by heart, after twenty epochs
    again = train_baseline(job(student=student, optim=optim), data, tmp_path)
    assert np.array_equal(again["search"], answers["search"])
    other = train_baseline(job(student=student, optim=optim, seed=4), data, tmp_path)
    assert not np.array_equal(other["search"], answers["search"])


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("student", [Full(), BagOfWords()])
def test_a_training_that_is_looked_at_on_its_way_ends_as_one_that_is_not(
    data: BaselineData, tmp_path: Path, student: SupervisorStudent
) -> None:
    asked = job(student=student, optim=Adamw(lr=0.01, epochs=4, batch_size=8, stop=0.75))
    parts = list(train_in_parts(asked, data, tmp_path, early=(0.25, 0.5)))
    assert [share for share, _ in parts] == [0.25, 0.5, 1.0]
    assert [sorted(predictions) for _, predictions in parts] == [[], [], ["search", "weak_train"]]
    whole = train_baseline(asked, data, tmp_path)
    assert np.array_equal(parts[-1][1]["search"], whole["search"])


@pytest.mark.usefixtures("warm")
def test_probes_of_further_seeds_compute_no_features(
    data: BaselineData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, Array] = {}

    def shared(name: str, compute: Callable[[], Array], /) -> Array:
        if name not in kept:
            kept[name] = compute()
        return kept[name]

    alone = train_baseline(job(student=Probe(), seed=4), data, tmp_path)
    train_baseline(job(student=Probe()), data, tmp_path, shared)
    assert len(kept) == 2  # weak_train is learnt and predicted, search predicted
    monkeypatch.setattr(ModelPool, "fresh", None)
    second = train_baseline(job(student=Probe(), seed=4), data, tmp_path, shared)
    assert all(np.array_equal(second[split], alone[split]) for split in data.predict)


@pytest.mark.usefixtures("warm")
def test_a_bag_of_words_needs_no_weights(
    data: BaselineData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "ModelPool", None)
    answers = train_baseline(job(student=BagOfWords()), data, tmp_path)
    assert answers["search"].shape == (7,)
