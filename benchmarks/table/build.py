"""Runs the trials of a table by the trainers that run in production, in worker processes without Ray."""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.table.data import Table, TaskTable
from benchmarks.table.processes import in_processes
from benchmarks.table.rows import Row, draw_rows
from benchmarks.table.settings import STRONG, STRONG_OPTIM, WEAK, WEAK_OPTIM, TableSettings
from search.policy.rungs import rungs_of
from search.scoring.grader import BaselinePredictions
from search.scoring.pgr import CLEAR_SES
from trainers.cache import Arrays, digest
from trainers.components.students import Probe
from trainers.data.dataset import load_task
from trainers.data.digests import inputs_digest
from trainers.data.examples import SPLITS, Examples, SplitName, Task
from trainers.data.files import read_file
from trainers.data.tokens import Tokens
from trainers.method import Method
from trainers.models.pool import ModelPool
from trainers.models.prompts import render
from trainers.models.weights import weights_digest
from trainers.training.deepspeed_engine import warm_up
from trainers.training.loop import Diverged
from trainers.training.settings import EngineConfig
from trainers.trial.baselines import BaselineData, BaselineJob, Role, train_baseline
from trainers.trial.model_data import ModelData
from trainers.trial.workbench import Materials, Workbench

log = logging.getLogger(__name__)

ENGINE = EngineConfig()
TOPIC = 10  # rows of a group, on average, above which it is a topic
SCORED: tuple[SplitName, ...] = ("search", "test")
Classes = Mapping[str, Mapping[SplitName, NDArray[np.bool_]]]
LIBRARIES = ("numpy", "torch", "transformers", "deepspeed")


class Kept:
    """A trainers.trial.model_data.Shared: arrays in a folder, computed before the workers start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str, compute: Callable[[], NDArray[Any]], /) -> NDArray[Any]:
        """The array of this name, computed where it is not there."""
        path = self._folder / f"{digest(name)}.npy"
        if not path.is_file():
            np.save(path, compute())
        kept: NDArray[Any] = np.load(path, allow_pickle=False)
        return kept


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trial. reached: bool [rungs]; predictions: bool [rungs, n] on search and test together."""

    row: int
    seed: int
    reached: NDArray[np.bool_]
    predictions: NDArray[np.bool_]
    seconds: NDArray[np.float32]
    failed: bool


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a worker process needs. The split called search holds the search and the test inputs."""

    settings: TableSettings
    materials: Materials
    methods: Sequence[Method]
    folder: Path


def build(settings: TableSettings, folder: Path, tasks: Sequence[str], *, processes: int) -> Iterator[Table]:
    """Build the tables of some tasks; yields the table after each.

    Raises ValueError, on one line, for anything wrong with the data or the encoder.
    """
    rows, chance = draw_rows(settings)
    loaded = {name: _load(settings, folder, name) for name in tasks}
    facts: dict[str, Any] = {
        "weights": weights_digest(settings.model),
        "versions": {name: version(name) for name in LIBRARIES},
        "data": {name: _digests(task) for name, task in loaded.items()},
    }
    done: dict[str, TaskTable] = {}
    for name, task in loaded.items():
        found = _build_task(settings, rows, task, name, processes)
        if found is None:
            continue
        done[name] = found
        yield Table(settings=settings, rows=rows, chance=chance, tasks=dict(done), facts=facts)


def _load(settings: TableSettings, folder: Path, name: str) -> Task:
    path = folder / f"{name}.train.jsonl.gz"
    if not path.is_file():
        there = sorted(file.name.split(".")[0] for file in folder.glob("*.train.jsonl.gz"))
        raise ValueError(f"{path} is not there; {folder} has {', '.join(there) or 'no such file'}")
    columns = read_file(str(path)).columns
    groups = columns.get("group", [])
    kept_together = len(set(groups)) > len(groups) / TOPIC  # else groups are topics, which splits share
    return load_task(settings.task(folder, name, pairs="chosen" in columns, group=kept_together))


def _digests(task: Task) -> dict[str, str]:
    return {split: digest(inputs_digest(task.inputs[split]), task.truth[split]) for split in SPLITS}


def _build_task(
    settings: TableSettings, rows: Sequence[Row], task: Task, name: str, processes: int
) -> TaskTable | None:
    """The trials of a task; None where its gap is not clear."""
    with tempfile.TemporaryDirectory() as folder:
        kept, model = Path(folder), settings.model
        tokens = {split: render(model, task.inputs[split]) for split in SPLITS}
        evaluated = render(model, _together(task.inputs["search"], task.inputs["test"]))
        both: dict[SplitName, Tokens] = {"transfer": tokens["transfer"], "search": evaluated}
        methods = [row.method for row in rows]
        with tqdm(total=settings.seeds + settings.ceilings, desc=f"{name}: baselines") as bar:
            weak = [
                _baseline(settings, task, tokens, "weak", seed, kept, bar) for seed in range(settings.seeds)
            ]
            top = [
                _baseline(settings, task, tokens, "ceiling", seed, kept, bar)
                for seed in range(settings.ceilings)
            ]
        classes = {
            "weak": {split: _classes(weak, split) for split in SCORED},
            "ceiling": {split: _classes(top, split) for split in SCORED},
        }
        if not _has_gap(task, classes, name):
            return None
        materials = Materials(weak_probs=np.stack([one["transfer"] for one in weak]), tokens=both)
        work = Work(settings=settings, materials=materials, methods=methods, folder=kept)
        _compute_features(work)
        return _filled(settings, task, classes, _trials(work, name, processes), len(rows))


def _classes(predicted: Sequence[Arrays], split: SplitName) -> NDArray[np.bool_]:
    return np.stack([of_seed[split] for of_seed in predicted]) > np.float32(0.5)


def _has_gap(task: Task, classes: Classes, name: str) -> bool:
    found = {
        split: BaselinePredictions(weak=classes["weak"][split], ceiling=classes["ceiling"][split]).graded(
            task.truth[split]
        )
        for split in SCORED
    }
    for split, baselines in found.items():
        gap = baselines.measured_gap
        log.info(
            "%s, %s: weak floor %.3f, ceiling %.3f, gap %.3f ± %.3f",
            *(name, split, baselines.weak_acc, baselines.ceiling_acc, gap.value, gap.se),
        )
        if gap.value <= CLEAR_SES * gap.se:
            log.warning("%s has no clear gap on its %s split, so it is left out of the table", name, split)
            return False
    return True


def _together(first: Examples, second: Examples) -> Examples:
    """The examples of two splits as one, so that a trial predicts both at once."""
    pairs = None if first.pairs is None else (*first.pairs, *(second.pairs or ()))
    return Examples(texts=(*first.texts, *second.texts), pairs=pairs)


def _baseline(
    settings: TableSettings,
    task: Task,
    tokens: Mapping[SplitName, Tokens],
    role: Role,
    seed: int,
    kept: Path,
    bar: Any,
) -> Arrays:
    """What a supervisor or a ceiling predicts; a supervisor learns from rows of its own."""
    split: SplitName = "weak_train" if role == "weak" else "transfer"
    data = BaselineData(
        learn=tokens[split],
        truth=task.truth[split],
        predict={other: of for other, of in tokens.items() if other not in (split, "weak_train")},
    )
    if role == "weak":
        data = data.only(range(seed * settings.weak_rows, (seed + 1) * settings.weak_rows))
    student, optim = (WEAK, WEAK_OPTIM) if role == "weak" else (STRONG, STRONG_OPTIM)
    job = BaselineJob(role=role, model=settings.model, student=student, optim=optim, engine=ENGINE, seed=seed)
    predicted = train_baseline(job, data, kept, Kept(kept))
    bar.update()
    return predicted


def _compute_features(work: Work) -> None:
    """All frozen features that a trial may need, so that no trial's seconds hold them."""
    pool = ModelPool(work.settings.model, cache=work.folder)
    data = ModelData(pool, work.materials.tokens, Kept(work.folder))
    probes = [method.student for method in work.methods if isinstance(method.student, Probe)]
    layers = sorted({pool.layer_at(1.0), *(pool.layer_at(probe.layer) for probe in probes)})
    for split in work.materials.tokens:
        for layer in layers:
            data.features(split, layer)


# The trials, in processes of their own

_bench: Workbench | None = None
_work: Work | None = None


def _begin(work: Work) -> None:
    global _bench, _work
    torch.set_num_threads(1)
    warm_up(ENGINE)
    pool = ModelPool(work.settings.model, cache=work.folder)
    _bench, _work = Workbench(work.materials, pool, ENGINE, Kept(work.folder)), work
    for _ in range(2):  # what a process does once is no trial's cost
        _train((0, 0))


def _train(trial: tuple[int, int]) -> Trained:
    """Train a row with a seed."""
    assert _bench is not None
    assert _work is not None
    settings, (row, seed) = _work.settings, trial
    method, shares = _work.methods[row], settings.rungs
    places = rungs_of(method, shares, examples=settings.transfer, min_steps=settings.min_steps)
    n = len(_work.materials.tokens["search"])
    reached = np.zeros(len(shares), dtype=np.bool_)
    predictions = np.zeros((len(shares), n), dtype=np.bool_)
    seconds = np.full(len(shares), np.nan, dtype=np.float32)
    failed = False
    try:
        rungs = [shares[place] for place in places]
        began = time.process_time()  # other processes of a busy machine do not count
        for report in _bench.train(method, seed=seed, split="search", rungs=rungs):
            place, spent = shares.index(report.share), report.setup_s + report.train_s + report.eval_s
            reached[place], predictions[place] = True, report.predictions > np.float32(0.5)
            unasked = report.eval_s * settings.test / n  # a campaign's trial predicts the search split alone
            seconds[place] = (time.process_time() - began) * (1 - unasked / spent if spent else 1)
            began = time.process_time()
    except Diverged as error:
        log.warning("row %d, seed %d: %s", row, seed, error)
        failed = True
        seconds[next(place for place in places if not reached[place])] = time.process_time() - began
    return Trained(
        row=row, seed=seed, reached=reached, predictions=predictions, seconds=seconds, failed=failed
    )


def _trials(work: Work, name: str, processes: int) -> Iterator[Trained]:
    """All trials, as they end; the costly ones first, so that no process waits for the last of them."""
    costly = sorted(range(len(work.methods)), key=lambda row: work.methods[row].student.kind == "probe")
    todo = [(row, seed) for row in costly for seed in range(work.settings.seeds)]
    with in_processes(processes, _begin, (work,)) as trained:
        yield from tqdm(trained(_train, todo), total=len(todo), desc=f"{name}: trials")


def _filled(
    settings: TableSettings,
    task: Task,
    classes: Classes,
    trials: Iterator[Trained],
    rows: int,
) -> TaskTable:
    shape, n = (rows, settings.seeds, len(settings.rungs)), settings.search
    search = np.zeros((*shape, -(-n // 8)), dtype=np.uint8)
    test = np.zeros((*shape, -(-settings.test // 8)), dtype=np.uint8)
    seconds = np.full(shape, np.nan, dtype=np.float32)
    failed = np.zeros(shape[:2], dtype=np.bool_)
    for trial in trials:
        place = trial.row, trial.seed
        search[place] = np.packbits(trial.predictions[:, :n], axis=1)
        test[place] = np.packbits(trial.predictions[:, n:], axis=1)
        seconds[place], failed[place] = trial.seconds, trial.failed
    return TaskTable(
        search=search,
        test=test,
        seconds=seconds,
        failed=failed,
        truth={split: task.truth[split] for split in ("search", "test")},
        weak=dict(classes["weak"].items()),
        ceiling=dict(classes["ceiling"].items()),
    )
