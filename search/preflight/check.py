"""What a run of a config would meet: its data, models, steps, seconds, memory, disk and dollars."""

import math
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from agents.settings import ClaudeConfig
from search.config.schema import RunConfig
from search.engine.proposers import new_proposer
from search.output.live_view.likely import likely_methods
from search.policy.rungs import merged_rungs, rungs_of, steps_of_a_training
from search.preflight.earlier import with_earlier
from search.preflight.forecast import (
    Phase,
    hidden_phases,
    naive_s,
    over_tasks,
    part_of,
    phases,
)
from search.preflight.speed import Speed, imports_s, measured
from search.studies.storage import require_database
from search.tracking.launcher import require_key
from search.workers.inputs import Inputs, Training, read_inputs, trainings
from search.workers.loading import Loaded, models_of
from search.workers.sources import Commits, checked_sources, load_searched, on_searched, with_commits
from trainers.components.students import BagOfWords
from trainers.data.counts import DataCounts
from trainers.data.examples import SPLITS
from trainers.models.settings import ToyModel
from trainers.training.memory.model_size import room_for
from trainers.training.memory.room import GB, trained_and_frozen

# Seconds of a run of configs/dev.yaml on two cores, besides what is timed here: to start and stop Ray, to
# hand a trial to a worker, grade and judge it, and to write result and report.
RAY_S, HAND_OVER_S, END_S = 6.0, 0.06, 3.0
MOST_WORKERS = 4  # that are started side by side to time them
STATE_BYTES = 12  # of a trained parameter in a checkpoint: itself and two moments, in float32

Say = Callable[[str], None]


def check(
    config: RunConfig,
    *,
    timed: bool = True,
    folder: Path = Path(),
    say: Say = lambda text: None,
    usd_per_hour: float | None = None,
) -> dict[str, Any]:
    """Load data and models as a run would, train nothing to its end, and say what a run would meet.

    timed: whether to time a few steps of each model; without it there are no seconds. folder: where the run
    directory would be. say: receives what is being done. usd_per_hour: the price of a GPU-hour. As a run
    does, makes the tables that Optuna's database lacks. Raises ValueError, of the same line as a run, where a
    run would be refused; whether a trial has room in the cluster is not asked, which may be another one.
    """
    config, commits = with_commits(with_earlier(config), None)
    say("the proposer")
    new_proposer(config, None)
    require_key(config.tracking.kind)
    require_database(config.optuna.storage)
    say("data and models")
    loaded, load_s = _loaded(config, commits)
    first = next(iter(loaded.values()))
    checked_sources(config, first, commits, None, loaded)  # hidden tasks are looked at, by another process
    on_tasks = on_searched(config, commits)
    began = time.perf_counter()
    looks = [_look(on_it, name, loaded[name]) for name, on_it in on_tasks.items()]
    load_s += time.perf_counter() - began
    found: dict[str, Any] = {
        "name": config.name,
        **looks[0].found,
        "memory": max((look.memory for look in looks), key=lambda memory: memory["trial_gb"] or math.inf),
        "disk": _disk(list(on_tasks.values()), folder),
        "dollars": _dollars(config),
        "baselines_cached": sum(look.cached for look in looks),
        "tasks": [{"name": look.name} | look.found for look in looks] if config.tasks else [],
        "seconds": None,
    }
    if timed:
        say("the speed of the models")
        found["seconds"] = _seconds(config, looks, load_s)
        found["dollars"] |= _gpus(config, found["seconds"]["phases"], usd_per_hour)
    return found


def _loaded(config: RunConfig, commits: Commits) -> tuple[dict[str, Loaded], float]:
    """Every searched task, and the seconds that a run will take to load them.

    Generated models are made where they are not in the cache, where the run finds them.
    """
    began = time.perf_counter()
    loaded = load_searched(config, commits)
    if any(isinstance(model, ToyModel) for _, model in models_of(config)):
        began = time.perf_counter()
        load_searched(config, commits)
    return loaded, time.perf_counter() - began


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was found of one searched task. name: empty for the only one. due: trainings of its baselines.

    cached: how many of these need no training.
    """

    name: str
    config: RunConfig
    found: dict[str, Any]
    memory: dict[str, Any]
    due: list[Training]
    cached: int


def _look(config: RunConfig, name: str, loaded: Loaded) -> Look:
    """Look at a task. Raises ValueError, of one line, that names it where there are several."""
    try:
        inputs = read_inputs(config, loaded.task)
        due = list(trainings(config, loaded.weights, inputs.data))
    except ValueError as error:
        raise ValueError(f"{name}: {error}" if name else str(error)) from None
    return Look(
        name=name,
        config=config,
        found={
            "data": _data(loaded, inputs.counts),
            "models": _models(config, inputs),
            "steps": _steps(config),
        },
        memory=_memory(config),
        due=due,
        cached=sum(training.path.is_file() for training in due),
    )


def _data(loaded: Loaded, counts: DataCounts) -> dict[str, Any]:
    task = loaded.task
    labels = [label for split in SPLITS for label in task.truth[split].tolist()]
    is_pairs = task.inputs["transfer"].pairs is not None
    return {
        "kind": "pairs" if is_pairs else "single texts",
        "splits": {split: len(task.inputs[split]) for split in SPLITS},
        "class_1": None if is_pairs else sum(labels) / len(labels),
        "lost": list(counts.sentences()),
        "truncated": {of_model.role: of_model.shortened / of_model.examples for of_model in counts.lengths},
    }


def _models(config: RunConfig, inputs: Inputs) -> dict[str, Any]:
    tokens = {"weak": inputs.data["weak"][0].learn, "strong": inputs.strong["transfer"]}
    learners = {"weak": config.weak, "strong": config.strong}
    return {
        role: {
            "model": getattr(learner.model, "path", f"toy {getattr(learner.model, 'size', '')}".strip()),
            "student": learner.student.kind,
            "parameters": _parameters(config, role),
            "tokens_mean": float(tokens[role].lengths.mean()),
            "tokens_most": int(tokens[role].lengths.max()),
        }
        for role, learner in learners.items()
    }


def _parameters(config: RunConfig, role: str) -> int | None:
    """The parameters of a model's body and head; None if its configuration does not say."""
    learner = config.weak if role == "weak" else config.strong
    if isinstance(learner.student, BagOfWords):  # it uses the tokenizer alone
        return None
    room = room_for(learner.model, config.engine, 1.0, 1)
    return None if room is None else room.weights.body + room.weights.head


def _steps(config: RunConfig) -> dict[str, Any]:
    naive, pruning, examples = config.naive, config.search.pruning, config.task.splits.transfer
    rungs = rungs_of(naive, pruning.rungs, examples=examples, min_steps=pruning.min_steps)
    whole = steps_of_a_training(naive, examples)
    return {
        "naive": whole,
        "rungs": [pruning.rungs[place] for place in rungs],
        "first_rung": max(1, math.ceil(pruning.rungs[rungs[0]] * whole)),
        "merged": merged_rungs(naive, pruning.rungs, examples=examples, min_steps=pruning.min_steps),
    }


def _memory(config: RunConfig) -> dict[str, Any]:
    """Gigabytes that a trial of naive needs of a device, and that there are; None where nobody can say.

    micro_batch, checkpointing: what a trial chooses by its memory, None where that is not known.
    """
    naive, limit = config.naive, config.trial.room_gb
    on_gpu = torch.cuda.is_available() and config.trial.gpus != 0
    room = room_for(config.strong.model, config.engine, limit or 1.0, config.trial.processes, on_gpu=on_gpu)
    if room is not None and limit is not None:
        room = room.chosen(naive.student, naive.optim.batch_size)
    there = (
        torch.cuda.get_device_properties(0).total_memory
        if on_gpu
        else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    )
    return {
        "trial_gb": None if room is None else room.needed(naive.student, naive.optim.batch_size) / GB,
        "device": "GPU" if on_gpu else "CPU",
        "there_gb": there / GB,
        "at_once": at_once(config),
        "micro_batch": None if room is None else room.engine.micro_batch,
        "checkpointing": None if room is None else room.engine.gradient_checkpointing,
    }


def at_once(config: RunConfig) -> int:
    """How many trials run at once on this machine alone."""
    trial = config.trial
    fit = len(os.sched_getaffinity(0)) / trial.cpus
    if trial.needs.gpus and torch.cuda.is_available():
        fit = min(fit, torch.cuda.device_count() / trial.needs.gpus)
    most = min(config.search.round_trials, trial.concurrent or config.search.round_trials)
    return max(1, min(most, int(fit / trial.processes)))


def _disk(on_tasks: Sequence[RunConfig], folder: Path) -> dict[str, Any]:
    """Gigabytes of the checkpoints that may lie in the run directory at once, and what is free there.

    A paused trial has a checkpoint for each task.
    """
    sizes = [_checkpoints_gb(config) for config in on_tasks]
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return {
        "checkpoints_gb": None if None in sizes else sum(size for size in sizes if size is not None),
        "free_gb": shutil.disk_usage(place).free / GB,
    }


def _checkpoints_gb(config: RunConfig) -> float | None:
    room = room_for(config.strong.model, config.engine, 1.0, config.trial.processes)
    if room is None:
        return None
    waiting = config.search.promotion.waiting * (len(config.search.pruning.rungs) - 1)
    states = min(config.search.trials, waiting + at_once(config))
    return states * trained_and_frozen(config.naive.student, room.weights)[0] * STATE_BYTES / GB


def _dollars(config: RunConfig) -> dict[str, Any]:
    paid = isinstance(config.agent, ClaudeConfig)
    return {"at_most": config.agent.max_usd if isinstance(config.agent, ClaudeConfig) else 0.0, "paid": paid}


def _gpus(
    config: RunConfig, found: Sequence[Mapping[str, Any]], usd_per_hour: float | None
) -> dict[str, float | None]:
    """GPU-hours of all phases and their price; 0 where trials use none."""
    each = config.trial.needs.gpus * config.trial.processes if torch.cuda.is_available() else 0.0
    hours = each * sum(phase["train_s"] for phase in found) / 3600
    return {"gpu_hours": hours, "gpu_usd": None if usd_per_hour is None else hours * usd_per_hour}


def _seconds(config: RunConfig, looks: Sequence[Look], load_s: float) -> dict[str, Any]:
    """Seconds of each phase on this machine, one training at a time and on the clock.

    load_s: to load data and models. On the clock are also the starts of processes: of the run itself before
    the first phase, in a phase of its workers.
    """
    side_by_side = at_once(config)
    import_s = imports_s(min(side_by_side, MOST_WORKERS))
    start_s = import_s + load_s + RAY_S
    speeds = [_speeds(look.config, look.due) for look in looks]
    first, methods = speeds[0], likely_methods(config)
    found = over_tasks([_phases(look, speed, len(looks)) for look, speed in zip(looks, speeds, strict=True)])
    found += hidden_phases(config, first["weak"], first["ceiling"], methods)
    worker_s = import_s + sum(speed.first_s for speed in first.values())
    rows = [asdict(phase) | {"wall_s": wall_s(phase, worker_s, side_by_side)} for phase in found]
    return {
        "start_s": start_s,
        "worker_s": worker_s,
        "end_s": END_S,
        "busy": os.getloadavg()[0] / len(os.sched_getaffinity(0)),
        "trial_s": sum(_trial_s(look, speed) for look, speed in zip(looks, speeds, strict=True)),
        "phases": rows,
        "wall_s": start_s + sum(row["wall_s"] for row in rows) + END_S,
        "speed": {role: asdict(speed) for role, speed in first.items()},
    }


def wall_s(phase: Phase, worker_s: float, side_by_side: int) -> float:
    """Seconds of a phase by the clock. worker_s: to start a worker; side_by_side: trainings at once."""
    seconds = phase.train_s + HAND_OVER_S * phase.trainings
    return phase.starts * worker_s + seconds / min(side_by_side, max(1, phase.trainings))


def _trial_s(look: Look, speeds: Mapping[str, Speed]) -> float:
    """Seconds of naive on a task."""
    return naive_s(look.config, speeds["ceiling"], predicted=look.config.task.splits.search)


def _phases(look: Look, speeds: Mapping[str, Speed], tasks: int) -> list[Phase]:
    config = part_of(look.config, tasks)
    return phases(config, speeds["weak"], speeds["ceiling"], likely_methods(config), look.cached)


def _speeds(config: RunConfig, due: list[Training]) -> Mapping[str, Speed]:
    first = {training.job.role: training for training in reversed(due)}
    return {role: measured(training, config.cache_dir, config.trial.cpus) for role, training in first.items()}
