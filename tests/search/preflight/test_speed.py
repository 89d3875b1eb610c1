"""How fast models are, timed on a few examples."""

from pathlib import Path

import pytest

from search.config.load import load_config
from search.preflight.speed import is_frozen, line, measured
from search.workers.inputs import read_inputs, trainings
from trainers.components.students import BagOfWords, Full, Lora, Probe
from trainers.data.dataset import load_task

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


def test_a_small_model_is_timed_within_seconds(tmp_path: Path) -> None:
    settings = [
        "task.splits={weak_train: 64, transfer: 64, search: 32, test: 32}",
        "strong.model={kind: toy, size: weak}",
        "baselines.seeds=2",
    ]
    config = load_config(REPO / "configs/dev.yaml", settings)
    inputs = read_inputs(config, load_task(config.task))
    first = next(iter(trainings(config, {config.weak.model: "w"}, inputs.data)))
    speed = measured(first, tmp_path, 1)
    assert 0 <= speed.step_s < 1
    assert 0 <= speed.row_s < 0.1
    assert speed.start_s + speed.load_s > 0
