"""The text of a file that trains a method without Ray or this package: formulas, data and loop in one."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from search.config.schema import RunConfig
from search.export.bundle import bundle, settings_literal
from search.export.card import EXAMPLE_LINE, class_one, numbers
from search.export.choice import Chosen
from search.export.parts import asking
from search.export.parts.evolving import evolved
from search.export.readings import data_file, model_folder, models_of, reading
from search.ledger.record import Record
from trainers.component import Component
from trainers.components.formulas.formula import Formula
from trainers.components.formulas.losses import LossFormula, evidence_of
from trainers.components.labels import LABELS
from trainers.components.losses import LOSSES
from trainers.components.repairs import REPAIRS, NoRepair
from trainers.components.selection import SELECTIONS
from trainers.components.stages import SelfTrain
from trainers.components.staging.members import Ensemble
from trainers.components.staging.refine import Evolve
from trainers.components.staging.relabel import RELABELS
from trainers.components.staging.stage import Stage
from trainers.components.students import STUDENTS
from trainers.data.examples import Examples
from trainers.method import Method
from trainers.models.prompts import can_elicit
from trainers.printable import one_line
from trainers.training.settings import EngineConfig

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

    python {file}                     # train, and print P(class 1) of the examples to predict
    python {file} --data new.jsonl    # train, and print P(class 1) of new examples, lines of {example}
    python {file} --help

P(class 1) is the probability that {meaning}.
"""

from __future__ import annotations
'''


def needs_spread(method: Method) -> bool:
    """Whether the file's data must say how far the weak models of a supervisor differ."""
    return "spread" in _asked(method)


def asks(method: Method) -> list[str]:
    """What the file asks the untouched strong model: prior, margins or consistency."""
    return sorted(_asked(method) - GIVEN)


def _asked(method: Method) -> set[str]:
    return set().union(*(_asked_by(getattr(method, slot)) for slot in SLOTS_THAT_ASK))


def _asked_by(component: Component) -> set[str]:
    """What a component asks beside features: zero-shot answers, a consistent probe, several models."""
    if isinstance(component, Formula):
        return {"prior", "spread"} & component.program.names
    function = FUNCTIONS.get(type(component))
    if function is None or getattr(component, "prior", None) == "head":
        return set()
    return {found.removeprefix("checked_") for found in ASKS.findall(inspect.getsource(function))}


def script(config: RunConfig, record: Record, chosen: Chosen, file: Path, examples: Examples) -> str:
    """The text of the file. examples: inputs of the task, which decide the text around an example."""
    method = chosen.method
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
    functions["asks"] = [getattr(asking, f"ask_{name}") for name in asks(method)]
    roots = [(PART, "main"), (LEARNING, "Recipe"), (LEARNING, "OwnAnswers")]
    roots += [("search.export.parts.base", "Reading"), ("trainers.data.tokens", "Template")]
    roots += [(STAGE, "Stage"), (STAGE, "Fold")]
    if any(isinstance(component, Formula) for component in settings):
        roots += [(f"{FORMULAS}.formula", "Program"), (f"{FORMULAS}.grammar", "Step")]
    roots += [(found.__module__, found.__name__) for each in functions.values() for found in each]
    roots += [(type(component).__module__, type(component).__name__) for component in settings]
    imports, texts = bundle(roots)
    title = f"The method {chosen.name} of the run {one_line(config.name)}, as one file."
    header = HEADER.format(
        title=title,
        numbers=_numbers(record, chosen),
        file=file.name,
        example=EXAMPLE_LINE[config.task.has_pairs],
        meaning=class_one(config.task),
    )
    texts.append(_recipe(config, chosen, functions, steps, file, examples))
    return "\n".join([header, *imports, "", "\n\n\n".join(texts)])


def _numbers(record: Record, chosen: Chosen) -> str:
    """Lines of a docstring, which no name of a run can end."""
    lines = [line.replace("\\", r"\\").replace('"', r"\"") for line in numbers(record, chosen)]
    return "\n".join([*lines, ""]) if lines else ""


def _recipe(
    config: RunConfig,
    chosen: Chosen,
    functions: Mapping[str, list[Any]],
    steps: list[Any],
    file: Path,
    examples: Examples,
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
        *_further(config, method),
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
        *_readings(config, method, file, examples),
        "",
        'if __name__ == "__main__":',
        f"    main(RECIPE, READING, {data_file(file).name!r}, SMALLER)",
        "",
    ]
    return "\n".join(lines)


def _readings(config: RunConfig, method: Method, file: Path, examples: Examples) -> list[str]:
    """Lines for the strong model, and for the smaller ones of a chain."""
    texts = {
        number: reading(
            config,
            model,
            model_folder(file, number),
            examples,
            asked=number is None and can_elicit(model) and bool(asks(method)),
        )
        for number, model in models_of(config, method).items()
    }
    smaller = [f"{number}: {text}" for number, text in texts.items() if number is not None]
    return [f"READING = {texts[None]}", f"SMALLER: dict[int, Reading] = {{{', '.join(smaller)}}}"]


def _further(config: RunConfig, method: Method) -> list[str]:
    """Lines for the engine, what is asked, the sequence of trainings, self-training and several members."""
    lines, own, members = list[str](), method.stages, method.members
    engine, usual = config.engine, EngineConfig()
    if (threads := max(1, int(config.trial.cpus))) > 1:
        lines.append(f"    threads={threads},")
    for name in ("precision", "zero_stage", "micro_batch"):
        if (value := getattr(engine, name)) != getattr(usual, name):
            lines.append(f"    {name}={value!r},")
    if asked := asks(method):
        lines.append(f"    asks={{{', '.join(f'{name!r}: ask_{name}' for name in asked)}}},")
    stages = method.sequence(len(config.intermediates))
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
