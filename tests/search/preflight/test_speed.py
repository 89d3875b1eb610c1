"""How fast models are, timed on a few examples."""

import math
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.config.load import load_config
from search.preflight import speed as module
from search.preflight.speed import imports_s, is_frozen, line, measured
from search.workers.inputs import read_inputs, trainings
from trainers.components.students import BagOfWords, Full, Lora, Probe
from trainers.data.dataset import load_task
from trainers.data.tokens import Tokens
from trainers.trial.model_data import ModelData

REPO = Path(__file__).parents[3]


def test_a_line_through_runs_of_growing_size() -> None:
    sizes: list[int] = []

    def seconds(size: int) -> float:
        sizes.append(size)
        return 3.0 + 0.01 * size

    start, slope = line(seconds, 2, 1000)
    assert (start, slope) == (pytest.approx(3.0), pytest.approx(0.01))
    assert sizes == [2, 2, 8, 8, 32, 32, 128, 128]  # the first that stands out by 0.4 s


def test_a_line_stops_at_the_whole_and_is_never_negative() -> None:
    sizes: list[int] = []

    def faster(size: int) -> float:
        sizes.append(size)
        return 1.0 / size

    assert line(faster, 2, 10) == (0.5, 0.0)
    assert sizes == [2, 2, 8, 8, 10, 10]
    assert line(lambda size: 7.0, 5, 5) == (7.0, 0.0)


def test_the_faster_of_two_runs_counts() -> None:
    took = iter([3.0, 1.0, 2.0, 4.0])
    assert line(lambda size: next(took), 10, 20) == (0.0, 0.1)


def test_students_that_read_features() -> None:
    assert [is_frozen(student) for student in (Full(), Lora(), Probe(), BagOfWords())] == [
        False,
        False,
        True,
        True,
    ]


def test_processes_that_import_together_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker really imports is timed in test_check.py."""
    monkeypatch.setattr(module, "WORKER", "import time; time.sleep(0.6)")
    began = time.perf_counter()
    took = imports_s(2)
    assert 0.6 < took <= time.perf_counter() - began
    monkeypatch.setattr(module, "WORKER", "import search.nowhere")
    with pytest.raises(RuntimeError, match="a new process cannot import"):
        imports_s(2)


def small() -> Any:
    settings = [
        "task.splits={weak_train: 64, transfer: 64, search: 32, test: 32}",
        "strong.model={kind: toy, size: weak}",
        "baselines.seeds=2",
    ]
    config = load_config(REPO / "configs/dev.yaml", settings)
    inputs = read_inputs(config, load_task(config.task))
    return next(iter(trainings(config, {config.weak.model: "w"}, inputs.data)))


def test_the_first_training_of_a_process_is_told_from_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, calls = [0.0], [0]

    def train(job: Any, data: Any, *_: Any, **__: Any) -> None:
        steps = round(job.optim.epochs * math.ceil(len(data.learn) / job.optim.batch_size))
        calls[0] += 1
        now[0] += (7.0 if calls[0] == 1 else 2.0) + 0.5 * steps

    monkeypatch.setattr(module, "train_baseline", train)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    speed = measured(small(), tmp_path, 1)
    assert (speed.start_s, speed.step_s, speed.row_s) == (pytest.approx(2.0), pytest.approx(0.5), 0.0)
    assert speed.first_s == pytest.approx(5.0)


def test_a_small_model_is_timed_within_seconds(tmp_path: Path) -> None:
    speed = measured(small(), tmp_path, 1)
    assert 0 <= speed.step_s < 1
    assert 0 <= speed.row_s < 0.1
    assert speed.start_s + speed.load_s > 0


def test_features_that_steps_learn_from_are_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, read, computed = small(), list[int](), ModelData._computed

    def counted(data: ModelData, tokens: Tokens, layer: int | None) -> Any:
        read.append(len(tokens))
        return computed(data, tokens, layer)

    monkeypatch.setattr(ModelData, "_computed", counted)
    job = training.job.model_copy(update={"student": Probe(layer=1.0)})
    assert measured(replace(training, job=job, data=training.data.only(range(40))), tmp_path, 1).step_s > 0
    assert read.count(40) == 1
    assert read.count(16) > 2  # of as few as are predicted, each time: what reading them costs
