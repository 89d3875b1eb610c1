"""Baselines and materials of a small run of the offline task, on a real Ray."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cluster.runtime import ray_runtime
from search.config.load import load_config
from search.config.schema import RunConfig
from search.workers.baselines import EARLY, Progress
from search.workers.loading import load
from search.workers.member import Work
from search.workers.preparation import Prepared, Watch, _first_of_each, prepare, with_gpus
from search.workers.shared_arrays import SharedArrays
from tests.small_runs.settings import ONE_CPU
from trainers.data.dataset import load_task
from trainers.models.prompts import render
from trainers.trial.baselines import BaselineJob, Role

REPO = Path(__file__).parents[3]


def small(cache: Path, *more: str) -> RunConfig:
    settings = [
        "task.splits={weak_train: 120, transfer: 90, search: 110, test: 130}",
        "strong.model={kind: toy, size: weak}",
        "baselines.seeds=2",
        "confirm.seeds=3",
        "confirm.supervisors=2",
        f"cache={cache}",
        *more,
    ]
    return load_config(REPO / "configs/dev.yaml", settings)


def prepared_by(config: RunConfig, advance: Callable[[int, int], None]) -> Prepared:
    return prepare(config, load(config), advance)


@pytest.fixture(scope="module")
def ray_is_up() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(*ONE_CPU)
        with ray_runtime():
            yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def prepared(ray_is_up: None, cache: Path) -> Prepared:
    return prepared_by(small(cache), lambda done, total: None)


def test_a_naive_baseline_that_cannot_fit_stops_the_run_before_it_starts(cache: Path) -> None:
    with pytest.raises(ValueError, match=r"^strong: the naive baseline cannot run: student.full needs"):
        prepared_by(small(cache, "trial.memory_gb=0.5"), lambda done, total: None)


def test_a_cache_that_cannot_be_written_stops_the_run_before_it_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"^cache '.*' cannot be written \(Not a directory\)"):
        prepared_by(small(tmp_path / "file" / "cache"), lambda done, total: None)


@pytest.mark.slow
def test_what_is_lost_of_the_data_is_said_once_before_training_and_kept(
    ray_is_up: None, tmp_path: Path, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [{"text": f"{i} once upon a time " * 20, "label": i % 2} for i in range(40)]
    lines += [{"text": "both", "label": 0}, {"text": "both", "label": 1}, lines[0]]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    model = f"{{kind: hub, path: {shared}/models/stories260K, max_length: 64}}"
    config = load_config(
        REPO / "configs/dev.yaml",
        [
            f"task={{kind: dataset, path: {path}}}",
            "task.splits={weak_train: 8, transfer: 8, search: 8, test: 8}",
            f"weak.model={model}",
            f"strong.model={model}",
            "baselines.seeds=2",
            f"cache={tmp_path}/cache",
        ],
    )
    said: list[str] = []
    found = prepared_by(config, lambda done, total: said.append(f"{done} of {total} trained"))
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    # a busy machine is late with a worker, which is said as well
    warned = [line for line in warned if not line.startswith("waiting for room in the cluster")]
    assert warned == list(found.counts.sentences())
    assert warned == [
        f"{path}: of 43 rows left out: 2 contradict each other (1 input with both labels, neither is kept), "
        "1 repeat an earlier row",
        "weak.model: of 32 examples within max_length 64, 32 are truncated",
        "strong.model: of 24 examples within max_length 64, 24 are truncated",
    ]


@pytest.mark.slow
def test_on_a_machine_without_gpus_open_ones_are_none(ray_is_up: None, cache: Path) -> None:
    given, left_open = small(cache, "trial.gpus=0.5"), small(cache, "trial.gpus=null")
    assert with_gpus(given) is given
    assert left_open.trial.gpus is None
    assert with_gpus(left_open).trial.needs.resources == {"CPU": 1}


def arrays_in(value: Any) -> Iterator[np.ndarray]:
    """Every array that can be reached from a value."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, torch.Tensor):
        yield value.numpy()
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from arrays_in(getattr(value, field.name))
    elif isinstance(value, dict):
        for one in value.values():
            yield from arrays_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from arrays_in(one)


@pytest.mark.slow
def test_a_trial_is_given_no_ground_truth(prepared: Prepared, cache: Path) -> None:
    config = small(cache)
    truth = load_task(config.task).truth
    work = Work(
        config=config, materials=prepared.materials, shared=SharedArrays(), checkpoints=cache / "checkpoints"
    )
    found = list(arrays_in(work))
    assert any(array.shape == (4, 90) for array in found), "the weak labels should have been found"
    for array in found:
        for row in array.reshape(-1, array.shape[-1]):
            for split, labels in truth.items():
                same = len(row) == len(labels) and ((row > 0.5) == labels).all()
                assert not same, split


@pytest.mark.slow
def test_baselines_are_cached_by_content_and_independent_of_trial_settings(
    prepared: Prepared, cache: Path
) -> None:
    calls: list[tuple[int, int]] = []
    config = small(cache, "search.trials=3", "confirm.seeds=3", "search.pruning.keep=2", "agent.branches=1")
    again = prepared_by(config, lambda done, total: calls.append((done, total)))
    assert calls == [(6, 6)]
    assert again.train_s == 0
    np.testing.assert_array_equal(again.materials.weak_probs, prepared.materials.weak_probs)

    other = small(cache, "weak.optim.lr=0.002")
    calls.clear()
    changed = prepared_by(other, lambda done, total: calls.append((done, total)))
    assert calls[0] == (2, 6), "a changed supervisor is trained again, the ceiling is not"
    assert (changed.materials.weak_probs != prepared.materials.weak_probs).any()


class Watching(Watch):
    """Remembers what is due, and the seed and seconds of those that were trained."""

    def __init__(self) -> None:
        self.due: list[Mapping[Role, int]] = []
        self.trained: list[tuple[int, float]] = []
        self.shares: list[float] = []

    def begin(self, due: Mapping[Role, int]) -> None:
        self.due.append(dict(due))

    def told(self, job: BaselineJob, progress: Progress) -> None:
        self.shares.append(progress.share)
        if progress.predictions is not None:
            self.trained.append((job.seed, progress.seconds))


@pytest.mark.slow
def test_baselines_that_finished_before_an_interrupt_are_kept_and_their_seconds_told(
    prepared: Prepared, cache: Path
) -> None:
    config = small(cache, "weak.optim.lr=0.003")
    watch = Watching()

    def interrupted(done: int, total: int) -> None:
        if done > 2:  # the ceilings were in the cache
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(config, load(config), interrupted, watch)
    trained = watch.trained
    before = len(trained)
    assert 1 <= before <= 2
    prepare(config, load(config), lambda done, total: None, watch)
    assert watch.due == [{"weak": 4}, {"weak": 4 - before}]
    assert sorted(seed for seed, _ in trained) == [0, 1, 2, 3], "each was trained once"
    assert all(seconds > 0 for _, seconds in trained)
    assert set(watch.shares) == {*EARLY, 1.0}


def test_one_of_each_role_is_trained_first() -> None:
    jobs: Any = [
        (SimpleNamespace(role=role, seed=seed), None) for role in ("weak", "ceiling") for seed in (1, 2, 3)
    ]
    order = [(job.role, job.seed) for job, _ in _first_of_each(jobs)]
    assert order == [("weak", 1), ("ceiling", 1), ("weak", 2), ("weak", 3), ("ceiling", 2), ("ceiling", 3)]


@pytest.mark.slow
def test_the_ceiling_learns_ground_truth_and_the_floor_is_the_supervisors(prepared: Prepared) -> None:
    truth, predictions = prepared.search
    assert predictions.weak.shape == predictions.ceiling.shape == (2, 110)
    assert truth.shape == (110,)
    assert prepared.materials.weak_probs.shape == (4, 90)  # two for the search, two for the confirmation
    of_test = prepared.test[1]
    assert (of_test.weak.shape, of_test.ceiling.shape) == ((4, 130), (2, 130))
    assert prepared.train_s > 0


@pytest.mark.slow
def test_students_see_pairs_in_both_orders(ray_is_up: None, tmp_path: Path, shared: Path) -> None:
    lines = [{"prompt": f"{i}?", "chosen": "yes " * (i + 1), "rejected": f"no {i}"} for i in range(40)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    model = f"{{kind: hub, path: {shared}/models/stories260K, max_length: 64}}"
    config = load_config(
        REPO / "configs/dev.yaml",
        [
            f"task={{kind: dataset, path: {path}, fields: {{chosen: chosen}}}}",
            "task.splits={weak_train: 8, transfer: 8, search: 8, test: 8}",
            f"weak.model={model}",
            f"strong.model={model}",
            f"intermediates=[{model}]",
            "baselines.seeds=2",
            f"cache={tmp_path}/cache",
        ],
    )
    materials = prepared_by(config, lambda done, total: None).materials
    assert materials.abilities.pairs == config.abilities.pairs is True
    task = load_task(config.task)
    for given in (materials, materials.intermediates[0]):
        for split in ("transfer", "search", "test"):
            expected = render(config.strong.model, task.inputs[split].exchanged())
            assert np.array_equal(given.swapped[split].ids, expected.ids)
            assert not np.array_equal(given.tokens[split].ids, expected.ids)


@pytest.mark.slow
def test_single_texts_have_one_order(prepared: Prepared) -> None:
    assert prepared.materials.swapped == {}
    assert not prepared.materials.abilities.pairs


@pytest.mark.slow
def test_a_panel_teaches_what_its_models_say_together(
    prepared: Prepared, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Of four supervisors of one model, in the cache, two of two models are made; the others are trained.
    settings = ["baselines.seeds=2", "weak.panel.size=2"]
    panel = prepared_by(small(cache, *settings), lambda done, total: None)
    alone = prepared.materials.weak_probs
    together = panel.materials.weak_probs
    assert together.shape == (4, 90)
    np.testing.assert_allclose(together[:2], (alone[::2] + alone[1::2]) / 2, atol=1e-6)
    assert panel.materials.weak_spread is not None
    np.testing.assert_allclose(panel.materials.weak_spread[:2], abs(alone[::2] - alone[1::2]) / 2, atol=1e-6)
    assert panel.materials.abilities.panel
    # The floor is of what they say together.
    assert (panel.search[1].weak.shape, panel.test[1].weak.shape) == ((2, 110), (4, 130))
    assert not [r for r in caplog.records if "always decide alike" in r.getMessage()]
