"""The text of a file that trains a method without Ray or this package: formulas, data and loop in one."""

import inspect
import pprint
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from search.config.schema import RunConfig
from search.export.bundle import bundle, settings_literal
from search.export.card import numbers
from search.export.choice import Chosen
from search.export.folder import base_of
from search.export.parts.evolving import evolved
from search.ledger.record import Record
from trainers.component import Component
from trainers.components.formulas.formula import Formula
from trainers.components.formulas.losses import LossFormula, evidence_of
from trainers.components.labels import LABELS
from trainers.components.losses import LOSSES
from trainers.components.repairs import REPAIRS, NoRepair
from trainers.components.selection import SELECTIONS
from trainers.components.stages import Chain, SelfTrain
from trainers.components.staging.members import Ensemble
from trainers.components.staging.refine import Evolve
from trainers.components.staging.relabel import RELABELS
from trainers.components.staging.stage import Stage
from trainers.components.students import STUDENTS
from trainers.data.examples import Examples
from trainers.method import Method
from trainers.models.pool import ModelPool, load_tokenizer
from trainers.models.prompts import templates
from trainers.models.settings import HubModel
from trainers.printable import one_line

PART, LEARNING = "search.export.parts.training", "search.export.parts.learning"
STAGE, FORMULAS = "trainers.components.staging.stage", "trainers.components.formulas"
FUNCTIONS: dict[type[Component], Any] = {**LABELS, **REPAIRS, **SELECTIONS}
ASKS = re.compile(r"\bevidence\.(consistency|margins|prior|checked_prior|spread)\(")
GIVEN = {"spread"}  # what the data file has beside weak labels
SLOTS_THAT_ASK = ("labels", "repair", "second_repair", "select", "loss")
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
    if isinstance(method.stages, Chain):
        return _no_template("stages", method.stages)
    for slot in SLOTS_THAT_ASK:
        component = getattr(method, slot)
        if _asked(component) - GIVEN:
            return _no_template(slot, component)
    if config.engine.precision != "fp32":
        return f"engine.precision {config.engine.precision} has no template for a script: export with --out"
    return None


def needs_spread(method: Method) -> bool:
    """Whether the file's data must say how far the weak models of a supervisor differ."""
    return any("spread" in _asked(getattr(method, slot)) for slot in SLOTS_THAT_ASK)


def _asked(component: Component) -> set[str]:
    """What a component asks beside features: zero-shot answers, a consistent probe, several models."""
    if isinstance(component, Formula):
        return {"prior", "spread"} & component.program.names
    function = FUNCTIONS.get(type(component))
    if function is None or getattr(component, "prior", None) == "head":
        return set()
    return set(ASKS.findall(inspect.getsource(function)))


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
    if method.relabel.rounds:
        functions["relabel"] = [RELABELS[type(method.relabel)]]
        settings.append(method.relabel)
    if isinstance(method.refine, Evolve):
        functions["refine"] = [evolved]
        settings.append(method.refine)
    if isinstance(method.loss, LossFormula):
        functions["loss_evidence"] = [evidence_of]
    roots = [(PART, "main"), (LEARNING, "Recipe"), (LEARNING, "OwnAnswers")]
    roots += [("search.export.parts.base", "Reading"), ("trainers.data.tokens", "Template")]
    roots += [(STAGE, "Stage"), (STAGE, "Fold")]
    if any(isinstance(component, Formula) for component in settings):
        roots += [(f"{FORMULAS}.formula", "Program"), (f"{FORMULAS}.grammar", "Step")]
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
        *(
            f"    {name}={step(functions[name][0], component)},"
            for name, component in (
                ("relabel", method.relabel),
                ("refine", method.refine),
                ("loss_evidence", method.loss),
            )
            if name in functions
        ),
        ")",
        f"READING = Reading({_reading(config, base)})",
        "",
        'if __name__ == "__main__":',
        f"    main(RECIPE, READING, {data_file(file).name!r})",
        "",
    ]
    return "\n".join(lines)


def _further(method: Method) -> list[str]:
    """Lines for the sequence of trainings, for self-training and for several members."""
    lines, own, members = list[str](), method.stages, method.members
    stages = method.sequence(0)
    if stages != (Stage(),):
        lines += ["    stages=[", *(f"        {_stage(stage)}," for stage in stages), "    ],"]
    if isinstance(own, SelfTrain):
        lines.append(f"    own=OwnAnswers(targets={own.targets!r}, share={own.share!r}),")
    if isinstance(members, Ensemble):
        trim = members.trim if members.aggregate == "trimmed" else 0.0
        lines.append(f"    aggregate={members.aggregate!r}, trim={trim!r},")
    return lines


def _stage(stage: Stage) -> str:
    """A stage as the call that makes it, without what is usual."""
    usual = Stage()
    given = {part.name: getattr(stage, part.name) for part in fields(stage)}
    told = [f"{name}={value!r}" for name, value in given.items() if value != getattr(usual, name)]
    return f"Stage({', '.join(told)})"


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
