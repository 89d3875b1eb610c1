"""The text of a file that trains a method without Ray or this package: formulas, data and loop in one."""

import inspect
import pprint
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from search.config.schema import RunConfig
from search.export.bundle import bundle, settings_literal
from search.export.card import numbers
from search.export.choice import Chosen
from search.export.folder import base_of
from search.ledger.record import Record
from trainers.component import Component
from trainers.components.labels import LABELS
from trainers.components.losses import LOSSES
from trainers.components.repairs import REPAIRS, NoisyChannel, NoRepair
from trainers.components.selection import SELECTIONS
from trainers.components.stages import SelfTrain
from trainers.components.staging.members import Ensemble
from trainers.components.students import STUDENTS
from trainers.data.examples import Examples
from trainers.method import Method
from trainers.models.pool import ModelPool, load_tokenizer
from trainers.models.prompts import templates
from trainers.models.settings import HubModel
from trainers.printable import one_line

PART = "search.export.parts.training"
FUNCTIONS: dict[type[Component], Any] = {**LABELS, **REPAIRS, **SELECTIONS}
ASKS = re.compile(r"\bevidence\.(consistency|margins|prior|checked_prior|spread)\(")
PLAIN = {"relabel": ("none",), "stages": ("once", "self_train"), "refine": ("none",)}
HEADER = '''"""{title}

{numbers}
The formulas are those of the weak-to-strong search that found the method; nothing of it is imported. Needs
torch, transformers, numpy, scipy, and peft for adapters.

    python {file}            # train, and print P(class 1) of the examples to predict
    python {file} --help
"""

from __future__ import annotations
'''


def refused(config: RunConfig, method: Method) -> str | None:
    """Why a method cannot be written as one file, on one line that names what has no template; or None."""
    for slot, kinds in PLAIN.items():
        if getattr(method, slot).kind not in kinds:
            return _no_template(slot, getattr(method, slot))
    for slot in ("labels", "repair", "second_repair", "select", "loss"):
        component = getattr(method, slot)
        if component.kind == "formula" or _asks_the_strong_model(component):
            return _no_template(slot, component)
    if config.engine.precision != "fp32":
        return f"engine.precision {config.engine.precision} has no template for a script: export with --out"
    return None


def _asks_the_strong_model(component: Component) -> bool:
    """Whether a component needs more than features: zero-shot answers, a consistent probe, several models."""
    function = FUNCTIONS.get(type(component))
    if function is None or (isinstance(component, NoisyChannel) and component.prior == "head"):
        return False
    return ASKS.search(inspect.getsource(function)) is not None


def _no_template(slot: str, component: Component) -> str:
    return f"{slot}.{component.kind} has no template for a script: export the model with --out instead"


def script(config: RunConfig, record: Record, chosen: Chosen, file: Path, base: str | None) -> str:
    """The text of the file. base: the folder of a model that was made here, beside the file.

    Raises ValueError, on one line, for a method without a template.
    """
    method = chosen.method
    if reason := refused(config, method):
        raise ValueError(f"--script {file}: {reason}")
    steps = [step for step in method.label_steps if not isinstance(step, NoRepair)]
    functions: dict[str, list[Any]] = {
        "labels": [(LABELS | REPAIRS)[type(step)] for step in steps],
        "select": [SELECTIONS[type(method.select)]],
        "batch_loss": [LOSSES[type(method.loss)]],
        "student": [STUDENTS[type(method.student)]],
    }
    settings: list[Component] = [*steps, method.select, method.loss, method.student, method.optim]
    roots = [(PART, name) for name in ("main", "Recipe", "OwnAnswers")]
    roots += [("search.export.parts.base", "Reading"), ("trainers.data.tokens", "Template")]
    roots += [(found.__module__, found.__name__) for each in functions.values() for found in each]
    roots += [(type(component).__module__, type(component).__name__) for component in settings]
    imports, texts = bundle(roots)
    title = f"The method {chosen.name} of the run {one_line(config.name)}, as one file."
    header = HEADER.format(title=title, numbers=_numbers(record, chosen), file=file.name)
    return "\n".join(
        [header, *imports, "", "\n\n\n".join([*texts, _recipe(config, chosen, functions, steps, file, base)])]
    )


def _numbers(record: Record, chosen: Chosen) -> str:
    lines = numbers(record, chosen)
    return "\n".join([*lines, ""]) if lines else ""


def _recipe(
    config: RunConfig,
    chosen: Chosen,
    functions: Mapping[str, list[Any]],
    steps: list[Any],
    file: Path,
    base: str | None,
) -> str:
    method = chosen.method

    def step(function: Any, component: Component) -> str:
        return f"({function.__name__}, {settings_literal(component)})"

    labels = [step(function, part) for function, part in zip(functions["labels"], steps, strict=True)]
    lines = [
        "# The method",
        "",
        "RECIPE = Recipe(",
        f"    labels=[{', '.join(labels)}],",
        f"    select={step(functions['select'][0], method.select)},",
        f"    batch_loss={step(functions['batch_loss'][0], method.loss)},",
        f"    student={step(functions['student'][0], method.student)},",
        f"    optim={settings_literal(method.optim)},",
        f"    trained={method.inputs.trained},",
        f"    answered={method.inputs.answered},",
        f"    seed={chosen.seed},",
        *_further(method),
        ")",
        f"READING = Reading({_reading(config, base)})",
        "",
        'if __name__ == "__main__":',
        f"    main(RECIPE, READING, {data_file(file).name!r})",
        "",
    ]
    return "\n".join(lines)


def _further(method: Method) -> list[str]:
    """Lines for self-training and for several members."""
    lines, own, members = list[str](), method.stages, method.members
    if isinstance(own, SelfTrain):
        given = ", ".join(f"{key}={value!r}" for key, value in own.model_dump(exclude={"kind"}).items())
        lines.append(f"    own=OwnAnswers({given}),")
    if isinstance(members, Ensemble):
        trim = members.trim if members.aggregate == "trimmed" else 0.0
        lines.append(f"    members={members.count}, aggregate={members.aggregate!r}, trim={trim!r},")
    return lines


def _reading(config: RunConfig, base: str | None) -> str:
    model = config.strong.model
    asks = model.readout == "label_tokens"
    path, revision = base_of(config)
    values = {
        "path": path or base,
        "revision": revision,
        "pool": "last" if asks else ModelPool(model, cache=config.cache_dir).read_from,
        "max_length": int(load_tokenizer(model).model_max_length),
        "dtype": model.dtype if isinstance(model, HubModel) else "float32",
    }
    template = f"Template(**{pprint.pformat(_template(config))})" if asks else "None"
    given = ", ".join(f"{key}={value!r}" for key, value in values.items())
    return f"{given}, template={template}, vocabulary={asks}"


def _template(config: RunConfig) -> dict[str, Any]:
    pairs = (("", ""),) if config.task.has_pairs else None
    return asdict(templates(config.strong.model, Examples(texts=("",), pairs=pairs))[0])


def data_file(file: Path) -> Path:
    """Where the data of a script lies: beside it."""
    return file.with_suffix(".jsonl")
