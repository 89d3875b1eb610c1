"""`export --script`: a method as one file of Python, its data beside it, both without ground truth."""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from search.config.schema import MOST_INTERMEDIATES, RunConfig
from search.export.choice import Chosen, choose
from search.export.learning import learning
from search.export.readings import data_file, model_folder, models_of
from search.export.recipe import needs_spread, script
from search.export.sources import check_writable, load_sources, read_source
from search.storage.run_directory import RunDirectory
from trainers.data.examples import Examples, SplitName, Task
from trainers.files import replace_file
from trainers.gang import name_accelerator
from trainers.models.chats import as_chats
from trainers.models.pool import load_tokenizer
from trainers.models.settings import HubModel, ToyModel
from trainers.models.toy_model import build_toy_model
from trainers.training.inputs import Floats


def export_script(
    run: RunDirectory, file: Path, console: Console, *, name: str = "best", seed: int | None = None
) -> Chosen:
    """Write FILE.py, FILE.jsonl and, for a model that was made here, the folder FILE-model.

    name, seed: as `choose` takes them. Raises ValueError, on one line, for a mistake in the input, and for
    data or models that are gone or have changed.
    """
    _check_free(file)
    source = read_source(run)
    chosen = choose(source.as_run, source.record, source.outcome, name, seed)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("checking data and models", total=None)
        loaded = load_sources(source)
        progress.update(bar, description="weak labels")
        config = source.config
        learned = learning(config, loaded, config.supervisor(chosen.seed))
        with _all_or_nothing(file):
            models = models_of(config, chosen.method)
            for number, model in models.items():
                if isinstance(model, ToyModel):
                    _write_model(config, model, model_folder(file, number))
            spread = learned.spread if needs_spread(chosen.method) else None
            lines = data_lines(models, loaded.task, learned.weak, chosen.split, spread)
            replace_file(data_file(file), "".join(lines))
            examples = loaded.task.inputs["transfer"]
            replace_file(file, script(config, source.record, chosen, file, examples))
    return chosen


def _write_model(config: RunConfig, model: ToyModel, folder: Path) -> None:
    name_accelerator()
    build_toy_model(model, cache=config.cache_dir).save_pretrained(folder)
    load_tokenizer(model).save_pretrained(folder)


def _check_free(file: Path) -> None:
    if file.suffix != ".py":
        raise ValueError(f"--script {file}: must end in .py")
    for path in _parts(file):
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
        for path in _parts(file):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        raise


def _parts(file: Path) -> list[Path]:
    """All that an export may write."""
    return [
        file,
        data_file(file),
        *(model_folder(file, number) for number in (None, *range(MOST_INTERMEDIATES))),
    ]


def data_lines(
    models: Mapping[int | None, HubModel | ToyModel],
    task: Task,
    weak: Floats,
    split: SplitName,
    spread: Floats | None = None,
) -> Iterable[str]:
    """Lines of JSON: the transfer examples with their weak labels, then the inputs of the split to predict.

    models: as `models_of`. spread: what stands beside a weak label where the method asks for it. They hold no
    ground truth. Messages are written by the strong model's chat template, and in `written` by that of a
    smaller model which writes them otherwise.
    """
    tokenizers = {number: load_tokenizer(model) for number, model in models.items()}
    for name in ("transfer", split):
        forms = [_records(as_chats(task.inputs[name], tokenizer)) for tokenizer in tokenizers.values()]
        for row, (record, *others) in enumerate(zip(*forms, strict=True)):
            label = {"weak": float(np.float32(weak[row]))} if name == "transfer" else {}
            if name == "transfer" and spread is not None:
                label["spread"] = float(np.float32(spread[row]))
            smaller = zip(list(tokenizers)[1:], others, strict=True)
            written = {str(number): other for number, other in smaller if other != record}
            more = {"written": written} if written else {}
            yield json.dumps({"split": name} | record | label | more, ensure_ascii=False) + "\n"


def _records(examples: Examples) -> Iterable[dict[str, str]]:
    if examples.pairs is None:
        return ({"text": text} for text in examples.texts)
    rows = zip(examples.texts, examples.pairs, strict=True)
    return ({"prompt": prompt, "first": a, "second": b} for prompt, (a, b) in rows)
