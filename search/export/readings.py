"""How the models of an exported method read examples, as text of its file; where its parts lie."""

from dataclasses import fields
from pathlib import Path

from search.config.schema import RunConfig
from search.export.folder import base_of
from trainers.data.examples import Examples
from trainers.data.tokens import Template
from trainers.method import Method
from trainers.models.pool import ModelPool, load_tokenizer
from trainers.models.prompts import questions, templates
from trainers.models.settings import HubModel, ToyModel


def data_file(file: Path) -> Path:
    """Where the data of a script lies: beside it."""
    return file.with_suffix(".jsonl")


def model_folder(file: Path, number: int | None = None) -> Path:
    """Where a script's pretrained model lies if it was made here. number: of a smaller model of a chain."""
    return file.with_name(f"{file.stem}-model" + ("" if number is None else f"-{number}"))


def models_of(config: RunConfig, method: Method) -> dict[int | None, HubModel | ToyModel]:
    """The models that a method trains: the strong one as None, then those of its chain by their number."""
    stages = method.sequence(len(config.intermediates))
    numbers = {stage.learner for stage in stages if stage.learner is not None}
    return {None: config.strong.model, **{number: config.intermediates[number] for number in sorted(numbers)}}


def reading(
    config: RunConfig, model: HubModel | ToyModel, folder: Path, examples: Examples, *, asked: bool
) -> str:
    """The call that says how a model reads examples like these.

    folder: where it lies if it was made here. asked: whether it answers before it is trained.
    """
    asks = model.readout == "label_tokens"
    path, revision = base_of(model)
    values = {
        "path": path or folder.name,
        "revision": revision,
        "pool": "last" if asks else ModelPool(model, cache=config.cache_dir).read_from,
        "max_length": int(load_tokenizer(model).model_max_length),
        "dtype": model.dtype if isinstance(model, HubModel) else "float32",
        "vocabulary": asks,
    }
    lines = [f"    {key}={value!r}," for key, value in values.items()]
    lines.append(f"    template={_template(templates(model, examples)[0]) if asks else None},")
    if asked:
        told = [f"        {_template(question)}," for question in questions(model, examples)]
        lines += ["    questions=(", *told, "    ),"]
    return "\n".join(["Reading(", *lines, ")"])


def _template(template: Template) -> str:
    """The call that makes a template, without what is usual."""
    told = [
        f"{part.name}={getattr(template, part.name)!r}"
        for part in fields(template)
        if getattr(template, part.name) != part.default
    ]
    return f"Template({', '.join(told)})"
