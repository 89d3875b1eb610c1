"""`export`: trains a method of a run, or takes the models that the run kept, and writes them as a folder."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from agents.findings.predictions import unpack
from search.config.schema import RunConfig
from search.export.card import write_texts
from search.export.choice import Chosen, choose
from search.export.folder import write_models
from search.export.learning import learning
from search.export.parts.reading import load as load_folder
from search.export.sources import Source, check_free, load_sources, read_source
from search.export.training import Training, train
from search.storage.run_directory import RunDirectory
from search.workers.loading import Loaded
from trainers.models.chats import as_chats
from trainers.models.pool import load_tokenizer
from trainers.scratch import scratch_folder
from trainers.training.weights import TrainedWeights
from trainers.trial.kept_models import kept_weights


@dataclass(frozen=True, kw_only=True)
class Export:
    """What was exported. agreement: the share of the recorded predictions that the folder gives.

    kept: whether the run had kept the models, so that nothing was trained.
    """

    folder: Path
    chosen: Chosen
    members: int
    agreement: float | None
    kept: bool


def export_model(
    run: RunDirectory, out: Path, console: Console, *, name: str = "best", seed: int | None = None
) -> Export:
    """Write a method's trained model into a new folder, whole or not at all.

    name, seed: as `choose` takes them. Raises ValueError, on one line, for a mistake in the input, data or
    models that are gone or have changed; RuntimeError if the training fails.
    """
    check_free(out)
    source = read_source(run)
    chosen = choose(source.as_run, source.record, source.outcome, name, seed)
    kept = _kept(run, chosen)
    if not kept and source.config.trial.processes > 1:
        raise ValueError(
            f"trial.processes {source.config.trial.processes}: an export trains in one process; set "
            "confirm.keep_models to true and confirm again"
        )
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("checking data and models", total=None)
        loaded = load_sources(source)
        if not kept:
            kept_here, members = False, _train(source, loaded, chosen, progress, bar)
        else:
            kept_here, members = True, kept
        progress.update(bar, description="writing the model", total=None)
        with _draft(out) as draft:
            example = loaded.task.inputs["transfer"]
            about = write_models(draft, source.config, chosen.method, members, example, chosen.seed)
            progress.update(bar, description="comparing its answers with those recorded")
            agreement = _agreement(draft, source.config, loaded, chosen)
            write_texts(draft, source.as_run, source.record, chosen, about, agreement)
    return Export(folder=out, chosen=chosen, members=len(members), agreement=agreement, kept=kept_here)


def _kept(run: RunDirectory, chosen: Chosen) -> list[TrainedWeights]:
    """The models that the run kept of this very training; [] if it kept none, or not all."""
    if chosen.trial is None or chosen.trial.purpose != "confirm":
        return []
    found = kept_weights(run.models / chosen.trial.trial)
    complete = chosen.method.optim.stop < 1 or len(found) == chosen.method.members.count
    return found if complete else []


def _train(
    source: Source, loaded: Loaded, chosen: Chosen, progress: Progress, bar: Any
) -> list[TrainedWeights]:
    config = source.config
    progress.update(bar, description="weak labels")
    learned = learning(config, loaded, config.supervisor(chosen.seed))
    trial = chosen.trial
    due = sum(rung.seconds for rung in trial.rungs.values()) if trial else None
    progress.update(bar, description=f"training {chosen.name}, seed {chosen.seed}", total=due, completed=0)
    with scratch_folder() as scratch:
        job = Training(
            config=config,
            materials=learned.materials,
            method=chosen.method,
            seed=chosen.seed,
            split=chosen.split,
            micro_batch=trial.micro_batch if trial else None,
            folder=scratch,
        )
        train(job, lambda elapsed_s: progress.update(bar, completed=min(elapsed_s, due or elapsed_s)))
        return kept_weights(scratch)


def _agreement(folder: Path, config: RunConfig, loaded: Loaded, chosen: Chosen) -> float | None:
    """The share of recorded classes that the folder's own reader gives."""
    if chosen.rung is None:
        return None
    examples = as_chats(loaded.task.inputs[chosen.split], load_tokenizer(config.strong.model))
    classes = load_folder(folder).probabilities(examples) > np.float32(0.5)
    return float((classes == unpack(chosen.rung.predictions, len(examples))).mean())


@contextmanager
def _draft(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place when the block ends, or vanishes if it raises."""
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.parent / f".{out.name}.draft-{os.getpid()}"
    draft.mkdir()
    try:
        yield draft
        _readable_alike(draft)
        if out.is_dir():
            out.rmdir()
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _readable_alike(folder: Path) -> None:
    """Give all files the mode that a text has here: safetensors lets its owner alone read what it writes."""
    mode = (folder / "README.md").stat().st_mode & 0o777
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(mode)
