"""The head of the report: which task, models, data and supervisors a run is about."""

from collections.abc import Iterator

from search.config.schema import RunConfig
from search.ledger.record import Record
from trainers.data.settings import DatasetTask
from trainers.models.settings import HubModel, ModelConfig

STUDENTS = {
    "full": "the whole model",
    "lora": "a low-rank update of its layers",
    "probe": "a linear head on its frozen features",
    "bag_of_words": "a bag of words",
}
SHORT = 12  # hex digits of a digest in the head; the whole ones stand under "How to reproduce"


def about(config: RunConfig, record: Record) -> list[tuple[str, str]]:
    """Label and text of every line of the head."""
    if config.tasks:
        rows = [row for name, on_task in config.searched.items() for row in _of_task(config, name, on_task)]
    else:
        rows = [("task", _task(config))]
    rows += [("weak supervisor", _weak(config)), ("strong student", _strong(config))]
    if config.intermediates:
        rows.append(("models between them", ", ".join(map(_model, config.intermediates))))
    if not config.tasks:
        rows.append(("examples", _splits(config)))
    rows.append(("supervisors", _supervisors(config)))
    if config.hidden:
        rows.append(("hidden tasks", ", ".join(task.name for task in config.hidden)))
    return [*rows, *_digests(record)]


def _of_task(config: RunConfig, name: str, on_task: RunConfig) -> Iterator[tuple[str, str]]:
    """The lines of one of several searched tasks: its data, and its models where they differ."""
    yield f"task {name}", f"{_task(on_task)}; {_splits(on_task)}"
    if on_task.weak != config.weak:
        yield f"weak supervisor of {name}", _weak(on_task)
    if on_task.strong != config.strong:
        yield f"strong student of {name}", _strong(on_task)


def _strong(config: RunConfig) -> str:
    return f"{_model(config.strong.model)}; naive's is {STUDENTS[config.strong.student.kind]}"


def _weak(config: RunConfig) -> str:
    """The weak model; of a bag of words, the model lends its tokenizer alone."""
    model, kind = _model(config.weak.model), config.weak.student.kind
    if kind == "bag_of_words":
        return f"{STUDENTS[kind]}, split by the tokenizer of {model}"
    return model if kind == "full" else f"{model}, {STUDENTS[kind]}"


def _task(config: RunConfig) -> str:
    task, pairs = config.task, config.task.has_pairs
    form = "preference pairs" if pairs else "single texts with a binary label"
    if not isinstance(task, DatasetTask):
        return f"generated reviews ({form}), drawn with seed {task.seed}"
    held_out = f", tested on {task.test_path}" if task.test_path else ""
    return (
        f"{task.path}{f' ({task.name})' if task.name else ''}{held_out}: {form}, drawn with seed {task.seed}"
    )


def _model(model: ModelConfig) -> str:
    if isinstance(model, HubModel):
        return f"{model.path}, at most {model.max_length} tokens"
    toy = getattr(model, "size", None)
    return f"generated model of kind {model.kind}{f', size {toy}' if toy else ''}"


def _splits(config: RunConfig) -> str:
    sizes, own = config.task.splits, config.baselines.own_rows
    each = "" if own is None else f" ({own:,} for each of {config.weak_models})"
    return (
        f"{sizes.weak_train:,} train the weak supervisors{each}, {sizes.transfer:,} are given to students "
        f"with weak labels, {sizes.search:,} choose methods, {sizes.test:,} test them"
    )


def _supervisors(config: RunConfig) -> str:
    fresh = config.confirm.fresh_supervisors
    return (
        f"{config.supervisors}: {config.baselines.seeds} taught the search and its replicates, {fresh} were "
        f"kept back for the confirmation; {config.baselines.seeds} ceilings"
    )


def _digests(record: Record) -> Iterator[tuple[str, str]]:
    found = record.started.sources.digests if record.started and record.started.sources else {}
    data = [
        f"{name.removesuffix('.inputs')} {d[:SHORT]}" for name, d in found.items() if name.endswith(".inputs")
    ]
    weights = [
        f"{name.removesuffix('.model.weights')} {d[:SHORT]}" for name, d in found.items() if "weights" in name
    ]
    if data:
        yield "digests of the data", ", ".join(data)
    if weights:
        yield "digests of the weights", ", ".join(weights)
