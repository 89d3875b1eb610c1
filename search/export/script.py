"""`export --script`: a method as one file of Python, its data beside it, both without ground truth."""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from search.config.schema import RunConfig
from search.export.choice import Chosen, choose
from search.export.learning import learning
from search.export.recipe import data_file, needs_spread, refused, script
from search.export.sources import check_writable, load_sources, read_source
from search.storage.run_directory import RunDirectory
from trainers.data.examples import Examples, SplitName, Task
from trainers.files import replace_file
from trainers.models.chats import as_chats
from trainers.models.pool import load_tokenizer
from trainers.models.settings import ToyModel
from trainers.models.toy_model import build_toy_model
from trainers.training.inputs import Floats


def export_script(
    run: RunDirectory, file: Path, console: Console, *, name: str = "best", seed: int | None = None
) -> Chosen:
    """Write FILE.py, FILE.jsonl and, for a model that was made here, the folder FILE-model.

    name, seed: as `choose` takes them. Raises ValueError, on one line, for a mistake in the input, a method
    without a template, and data or models that are gone or have changed.
    """
    _check_free(file)
    source = read_source(run)
    chosen = choose(source.as_run, source.record, source.outcome, name, seed)
    if reason := refused(source.config, chosen.method):
        raise ValueError(f"--script {file}: {reason}")
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("checking data and models", total=None)
        loaded = load_sources(source)
        progress.update(bar, description="weak labels")
        config = source.config
        learned = learning(config, loaded, config.supervisor(chosen.seed))
        with _all_or_nothing(file):
            base = None
            if isinstance(config.strong.model, ToyModel):
                base = model_folder(file).name
                whole = build_toy_model(config.strong.model, cache=config.cache_dir)
                whole.save_pretrained(model_folder(file))
                load_tokenizer(config.strong.model).save_pretrained(model_folder(file))
            spread = learned.spread if needs_spread(chosen.method) else None
            lines = data_lines(config, loaded.task, learned.weak, chosen.split, spread)
            replace_file(data_file(file), "".join(lines))
            replace_file(file, script(config, source.record, chosen, file, base))
    return chosen


def _check_free(file: Path) -> None:
    if file.suffix != ".py":
        raise ValueError(f"--script {file}: must end in .py")
    for path in (file, data_file(file), model_folder(file)):
        if path.exists():
            raise ValueError(f"--script {file}: {path} exists; choose another name")
    check_writable(f"--script {file}", file)


@contextmanager
def _all_or_nothing(file: Path) -> Iterator[None]:
    """Make the folder of a script; remove what was written if the block is interrupted or raises."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        shutil.rmtree(model_folder(file), ignore_errors=True)
        for path in (data_file(file), file):
            path.unlink(missing_ok=True)
        raise


def model_folder(file: Path) -> Path:
    """Where a script's pretrained model lies if it was made here."""
    return file.with_name(f"{file.stem}-model")


def data_lines(
    config: RunConfig, task: Task, weak: Floats, split: SplitName, spread: Floats | None = None
) -> Iterable[str]:
    """Lines of JSON: the transfer examples with their weak labels, then the inputs of the split to predict.

    spread: what stands beside a weak label where the method asks for it. They hold no ground truth.
    Messages are written by the model's chat template.
    """
    tokenizer = load_tokenizer(config.strong.model)
    for name in ("transfer", split):
        examples = as_chats(task.inputs[name], tokenizer)
        for row, record in enumerate(_records(examples)):
            label = {"weak": float(np.float32(weak[row]))} if name == "transfer" else {}
            if name == "transfer" and spread is not None:
                label["spread"] = float(np.float32(spread[row]))
            yield json.dumps({"split": name} | record | label, ensure_ascii=False) + "\n"


def _records(examples: Examples) -> Iterable[dict[str, str]]:
    if examples.pairs is None:
        return ({"text": text} for text in examples.texts)
    rows = zip(examples.texts, examples.pairs, strict=True)
    return ({"prompt": prompt, "first": a, "second": b} for prompt, (a, b) in rows)
