"""What a run would meet, and the same refusals as its own."""

import json
from pathlib import Path

import pytest
import torch

from search.config.load import load_config
from search.config.schema import RunConfig
from search.config.tasks import SearchedTask
from search.preflight import check as module
from search.preflight.check import HAND_OVER_S, RAY_S, at_once, check, wall_s
from search.preflight.forecast import Phase
from search.workers.loading import load
from search.workers.preparation import prepare
from trainers.data.settings import DatasetTask

REPO = Path(__file__).parents[3]
SPLITS = "{weak_train: 64, transfer: 96, search: 32, test: 40}"


def small(cache: Path, *more: str) -> RunConfig:
    settings = [
        f"task.splits={SPLITS}",
        "strong.model={kind: toy, size: weak}",
        "strong.optim={lr: 0.01, epochs: 9, batch_size: 32}",
        "baselines.seeds=2",
        "confirm={finalists: 1, seeds: 2}",
        f"cache={cache}",
        *more,
    ]
    return load_config(REPO / "configs/dev.yaml", settings)


def test_sizes_steps_memory_and_disk_are_said_and_nothing_is_trained(tmp_path: Path) -> None:
    found = check(small(tmp_path / "cache"), timed=False, folder=tmp_path)
    assert found["data"]["splits"] == {"weak_train": 64, "transfer": 96, "search": 32, "test": 40}
    assert 0 < found["data"]["class_1"] < 1
    assert found["steps"]["naive"] == 27  # nine passes over three batches
    assert found["steps"]["first_rung"] == 9  # a third of them: a ninth is fewer than min_steps
    assert found["steps"]["merged"].startswith("search.pruning.rungs: 0.111 ")
    assert found["memory"]["trial_gb"] > 1
    assert (found["memory"]["micro_batch"], found["memory"]["checkpointing"]) == (None, None)
    assert found["disk"]["free_gb"] > 0
    assert (found["baselines_cached"], found["seconds"]) == (0, None)
    assert not (tmp_path / "cache" / "baselines").exists()
    json.dumps(found)


def test_times_add_up(tmp_path: Path) -> None:
    config = small(tmp_path, "search.round_trials=1")
    found = check(config, folder=tmp_path, usd_per_hour=3.0)
    seconds = found["seconds"]
    assert seconds["trial_s"] > 0
    if not torch.cuda.is_available():
        assert (found["dollars"]["gpu_hours"], found["dollars"]["gpu_usd"]) == (0, 0)
    assert [row["name"] for row in seconds["phases"]] == [
        "baselines",
        "search",
        "replication",
        "confirmation",
    ]
    on_the_clock = [row["wall_s"] for row in seconds["phases"]]
    assert seconds["wall_s"] == pytest.approx(seconds["start_s"] + sum(on_the_clock) + seconds["end_s"])
    assert seconds["worker_s"] > 0.5  # a process that imports torch, transformers and Ray
    assert seconds["start_s"] > RAY_S + 0.5
    for row, starts in zip(seconds["phases"], (1, 1, 0, 0), strict=True):
        handed_over = HAND_OVER_S * row["trainings"]
        assert row["wall_s"] == pytest.approx(starts * seconds["worker_s"] + row["train_s"] + handed_over)


def test_a_phase_waits_for_its_workers_and_trains_side_by_side() -> None:
    phase = Phase(name="search", trainings=10, train_s=20.0, starts=1)
    assert wall_s(phase, worker_s=5.0, side_by_side=2) == pytest.approx(5 + (20 + 10 * HAND_OVER_S) / 2)
    two = Phase(name="confirmation", trainings=2, train_s=20.0)
    assert wall_s(two, worker_s=5.0, side_by_side=8) == pytest.approx(10 + HAND_OVER_S)
    assert wall_s(Phase(name="baselines", trainings=0, train_s=0.0), worker_s=5.0, side_by_side=2) == 0


def test_models_that_a_check_generates_are_there_when_the_run_loads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, took = [0.0], iter([20.0, 0.5])

    def loading(config: RunConfig, commits: object) -> dict[str, object]:
        now[0] += next(took)
        return {"": None}

    monkeypatch.setattr(module, "load_searched", loading)
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    assert module._loaded(small(tmp_path), {}) == ({"": None}, 0.5)


def test_what_a_trial_chooses_within_its_memory(tmp_path: Path) -> None:
    memory = check(small(tmp_path, "trial.memory_gb=40"), timed=False, folder=tmp_path)["memory"]
    assert (memory["micro_batch"], memory["checkpointing"]) == (32, False)


def several(cache: Path, *second: str) -> RunConfig:
    """Two tasks, the second of another size or with other settings."""
    config = small(cache)
    task = load_config(REPO / "configs/dev.yaml", [f"task.splits={SPLITS}", "task.seed=5", *second]).task
    tasks = SearchedTask(name="first", task=config.task), SearchedTask(name="second", task=task)
    return config.model_copy(update={"tasks": tasks})


def test_every_searched_task_is_looked_at(tmp_path: Path) -> None:
    found = check(several(tmp_path / "cache", "task.splits.transfer=160"), timed=False, folder=tmp_path)
    first, second = found["tasks"]
    assert (first["name"], first["data"], first["steps"]) == ("first", found["data"], found["steps"])
    assert second["data"]["splits"] == {"weak_train": 64, "transfer": 160, "search": 32, "test": 40}
    assert (first["steps"]["naive"], second["steps"]["naive"]) == (27, 45)
    alone = check(small(tmp_path / "cache"), timed=False, folder=tmp_path)
    assert alone["tasks"] == []
    assert found["disk"]["checkpoints_gb"] == pytest.approx(2 * alone["disk"]["checkpoints_gb"])
    json.dumps(found)


def test_a_mistake_names_its_task(tmp_path: Path) -> None:
    config = several(tmp_path)
    gone = DatasetTask(path="nowhere.csv", splits=config.task.splits)
    broken = config.model_copy(
        update={"tasks": (config.tasks[0], config.tasks[1].model_copy(update={"task": gone}))}
    )
    with pytest.raises(ValueError, match=r"^tasks.1 \(second\): .*nowhere"):
        check(broken, timed=False)


def test_trials_at_once(tmp_path: Path) -> None:
    assert at_once(small(tmp_path, "trial.concurrent=1")) == 1
    assert at_once(small(tmp_path, "trial.cpus=200")) == 1  # at least one, or the run says that it waits


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (["trial.memory_gb=0.5"], "strong: the naive baseline cannot run"),
        (
            [
                "task={kind: dataset, path: nowhere.csv, "
                "splits: {weak_train: 1, transfer: 1, search: 1, test: 1}}"
            ],
            "nowhere",
        ),
        (["baselines.own_rows=1"], "baselines.own_rows 1: the rows of weak model 0"),
    ],
)
def test_what_a_run_refuses_is_refused_by_the_same_line(
    settings: list[str], line: str, tmp_path: Path
) -> None:
    config = small(tmp_path, *settings)
    with pytest.raises(ValueError, match=line) as of_check:
        check(config, timed=False)
    with pytest.raises(ValueError, match=line) as of_run:
        prepare(config, load(config), lambda done, total: None)
    assert str(of_check.value) == str(of_run.value)


def test_services_are_asked_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_loaded", lambda *_: pytest.fail("data and models are loaded"))
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE", "WANDB_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with pytest.raises(ValueError, match=r"^tracking\.kind is online and no W&B key was found: run `wandb"):
        check(small(tmp_path, "tracking.kind=online"), timed=False)
    with pytest.raises(ValueError, match=r"^optuna\.storage: sqlite:////nowhere/at\.db cannot be opened: "):
        check(small(tmp_path, "optuna.storage=sqlite:////nowhere/at.db"), timed=False)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with pytest.raises(pytest.fail.Exception, match="are loaded"):
        check(small(tmp_path, "tracking.kind=online"), timed=False)
