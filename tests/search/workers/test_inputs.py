"""What is read before anything is trained."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from search.config.load import load_config
from search.config.schema import RunConfig
from search.workers.inputs import read_inputs, trainings, weak_data
from trainers.data.dataset import load_task
from trainers.data.tokens import Tokens
from trainers.trial.baselines import BaselineData

REPO = Path(__file__).parents[3]


def small(*more: str) -> RunConfig:
    settings = [
        "task.splits={weak_train: 40, transfer: 30, search: 20, test: 50}",
        "strong.model={kind: toy, size: weak}",
        "baselines.seeds=2",
        "confirm.seeds=3",
        *more,
    ]
    return load_config(REPO / "configs/dev.yaml", settings)


def test_each_supervisor_may_learn_from_rows_of_its_own() -> None:
    tokens = Tokens(ids=np.arange(8, dtype=np.int32), offsets=np.array([0, 1, 3, 4, 6, 7, 8]))
    truth = np.array([0, 1, 1, 0, 1, 1], dtype=np.int8)
    data = BaselineData(learn=tokens, truth=truth, predict={})
    shared, own = (
        SimpleNamespace(weak_models=2, baselines=SimpleNamespace(own_rows=rows)) for rows in (None, 2)
    )
    assert [part is data for part in weak_data(shared, data)] == [True, True]
    first, second = weak_data(own, data)
    assert (first.truth.tolist(), second.truth.tolist()) == ([0, 1], [1, 0])
    assert (second.learn.ids.tolist(), second.learn.offsets.tolist()) == ([3, 4, 5], [0, 1, 3])
    assert first.digest != second.digest
    own.weak_models = 3
    with pytest.raises(ValueError, match=r"own_rows 2: the rows of weak model 2 are all of class 1"):
        weak_data(own, data)


def test_every_baseline_has_a_file_of_its_own_and_weak_ones_come_first() -> None:
    config = small()
    inputs = read_inputs(config, load_task(config.task))
    model = config.weak.model
    found = list(trainings(config, {model: "w"}, inputs.data))
    assert [training.job.role for training in found] == ["weak"] * 5 + ["ceiling"] * 2
    assert len({training.path for training in found}) == 7
    assert [training.job.seed for training in found[:5]] == [0, 1, 2, 3, 4]
    assert {name: len(tokens) for name, tokens in inputs.strong.items()} == {
        "transfer": 30,
        "search": 20,
        "test": 50,
    }
    assert len(found[0].data.truth) == 40


def test_a_naive_baseline_that_cannot_fit_is_refused_before_texts_are_read() -> None:
    config = small("trial.memory_gb=0.5")
    with pytest.raises(ValueError, match=r"^strong: the naive baseline cannot run: student.full needs"):
        read_inputs(config, load_task(config.task))
