"""Trains an exported method by plain PyTorch: the steps of `trainers`, without DeepSpeed, rungs or gangs."""

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import torch

from search.export.parts.base import Base, Reading, as_examples, as_probs, combined
from search.export.parts.learning import Learned, Lessons, Recipe, seed_of
from search.export.parts.reading import read_records
from search.export.parts.splits import Data
from trainers.components.optim import lr_factor
from trainers.components.selecting.plans import Plan
from trainers.components.selection import small_loss_weights
from trainers.components.staging.sequence import ROUNDING, place_of, total_length
from trainers.components.weak_labels import Evidence
from trainers.data.examples import Examples
from trainers.lazy import special
from trainers.training.deepspeed_engine import device, on_torch
from trainers.training.inputs import FeatureInputs, Floats, Inputs, Rows
from trainers.training.loop import planned_batches, total_steps
from trainers.training.orders import Asked, answer
from trainers.training.plain_engine import PlainEngine

KNOWN = ("spread",)  # what transfer examples may have beside their weak labels


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """What decides the batches of a training."""

    plan: Plan
    optim: Any
    seed: int


def run(
    recipe: Recipe,
    base: Base,
    learn: Examples,
    weak: Floats,
    ask: Examples,
    known: Mapping[str, Floats] = MappingProxyType({}),
    smaller: Mapping[int, tuple[Base, Examples, Examples]] = MappingProxyType({}),
) -> Floats:
    """Train on weak P(class 1) of `learn`, float32 [n]; returns P(class 1) of every example of `ask`.

    known: what else is known of `learn`: spread, how far the weak models of its supervisor differ. smaller:
    the models of a chain on the way to this one, by their number, each with both as its template writes them.
    """
    forms: dict[int | None, tuple[Data, Data]] = {None: (Data(base, learn), Data(base, ask))}
    forms |= {number: (Data(of, first), Data(of, second)) for number, (of, first, second) in smaller.items()}
    lessons = Lessons(recipe, evidence_from(recipe, forms[None][0], weak, known))
    last, part = place_of(recipe.stages, recipe.optim.stop * total_length(recipe.stages))
    answers: dict[int, Floats] = {}
    student: Any = None
    for place, stage in enumerate(recipe.stages[: last + 1]):
        share, seed = lessons.due(stage, part) if place == last else 1.0, seed_of(recipe, stage)
        data, asked = forms[stage.learner]
        student = begun(recipe, data, seed, student if stage.continues else None)
        if stage.evolves:
            refine(recipe, student, data, lessons, seed, share)
        else:
            inputs = data.inputs(student.layer, "both" if recipe.trained == 2 else "shown")
            learned, seeded = lessons.of(stage), replace(recipe, seed=seed)
            fit(student.module, student.parameters, inputs, learned, seeded, share)
        answers[stage.member] = answer(student.module, asked.asked(student.layer, recipe.answered))
        if place < last:
            lessons.take(place, partial(answers_of, student, data.asked(student.layer, recipe.answered)))
    stacked = np.stack(list(answers.values())).astype(np.float64)
    return as_probs(combined(stacked, recipe.aggregate, int(recipe.trim * len(stacked) + ROUNDING)))


def begun(recipe: Recipe, data: Data, seed: int, before: Any) -> Any:
    """A new student; with the trained weights of the one before, if there is one."""
    torch.manual_seed(seed)
    make, settings = recipe.student
    student = make(settings, data.base, seed, data.shown.words)
    if before is not None:
        with torch.no_grad():
            for own, trained in zip(student.parameters, before.parameters, strict=True):
                own.copy_(trained)
    return student


def evidence_from(recipe: Recipe, data: Data, weak: Floats, known: Mapping[str, Floats]) -> Evidence:
    """What the label steps and weights may ask about the transfer examples."""
    more: dict[str, Any] = {name: partial(known.__getitem__, name) for name in known}
    more |= {name: partial(ask, data) for name, ask in recipe.asks.items()}
    return Evidence(weak_probs=weak, features=data.evidence, seed=recipe.seed, **{"prior": no_prior} | more)


def answers_of(student: Any, transfer: Asked, rows: Rows | None) -> Floats:
    """What a student says of these transfer examples, or of all: P(class 1), float32."""
    logits = answer(student.module, transfer if rows is None else transfer.some(rows))
    return np.asarray(special.expit(logits))  # to the last bit what a trial's next training learns


def refine(recipe: Recipe, student: Any, data: Data, lessons: Lessons, seed: int, share: float) -> None:
    """Move a trained student without gradients, up to a share of the steps."""
    assert recipe.refine is not None
    move, settings = recipe.refine
    rate = 0.5 if settings.rate == "half" else float(lessons.first.targets.mean())
    learn = data.asked(student.layer, 2 if data.has_pairs else 1)
    half = recipe.precision == "bf16"
    move(settings, student, recipe.student[1], learn, rate, seed, share, half=half)


def no_prior() -> Any:
    """A method that does not ask the strong model never calls it."""
    raise NotImplementedError


def fit(
    model: torch.nn.Module,
    parameters: list[torch.nn.Parameter],
    inputs: Inputs,
    learned: Learned,
    recipe: Recipe,
    share: float,
) -> None:
    """Train in place up to a share of the schedule."""
    if isinstance(inputs, FeatureInputs):
        recipe = replace(recipe, precision="fp32", micro_batch=None)
    if recipe.precision == "fp32":
        for parameter in parameters:
            parameter.data = parameter.data.float()
    model.to(device()).train()
    optim, settings = recipe.optim, cast(Any, recipe)
    engine = on_torch(model, parameters, optim, settings)
    total = total_steps(learned.plan, optim)
    last = min(total, max(1, math.ceil(share * total - ROUNDING)))
    schedule: Any = Schedule(plan=learned.plan, optim=optim, seed=recipe.seed)
    for step, (rows, phase) in enumerate(planned_batches(inputs.lengths, schedule, total)):
        if step == last:
            break
        progress = step / total
        losses = partial(losses_of, recipe, learned, rows, phase.weights[rows], progress)
        loss = accumulated(engine, inputs, rows, losses, recipe, step)
        engine.step(optim.lr * phase.lr_scale * lr_factor(optim, progress))
        if step % 20 == 0:
            sys.stderr.write(f"step {step} of {last}, loss {float(loss):.4f}\n")
    engine.close()
    model.eval()


def losses_of(
    recipe: Recipe, learned: Learned, rows: Rows, weights: Floats, progress: float, logits: torch.Tensor
) -> torch.Tensor:
    """The weighted loss of every example of a batch, [b], from its logits [b, 2]."""
    function, settings = recipe.batch_loss
    known = {name: torch.from_numpy(of[rows]).to(device()) for name, of in learned.evidence.items()}
    targets = torch.from_numpy(learned.targets[rows]).to(device())
    log_probs = torch.log_softmax(logits.float(), dim=-1)
    losses: torch.Tensor = function(settings, log_probs, targets, progress, *([known] if known else []))
    losses = losses * torch.from_numpy(weights).to(device())
    if learned.plan.keep_share is not None:
        losses = losses * small_loss_weights(losses.detach(), learned.plan.keep_share(progress))
    return losses


def accumulated(
    engine: PlainEngine,
    inputs: Inputs,
    rows: Rows,
    losses: Callable[[torch.Tensor], torch.Tensor],
    recipe: Recipe,
    step: int,
) -> torch.Tensor:
    """Add up the gradient of a batch's mean loss, and return that loss.

    In several pieces the gradient of the logits comes first, since a loss may compare a batch's examples (Gao
    et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup").
    """
    seed_dropout(recipe.seed, step)
    pieces = np.array_split(rows, math.ceil(len(rows) / (recipe.micro_batch or len(rows))))
    if len(pieces) == 1:
        loss = losses(engine.forward(*inputs.batch(rows))).mean()
        engine.backward(loss, last=True)
        return loss.detach()
    with torch.no_grad():
        logits = torch.cat([engine.forward(*inputs.batch(piece)).float() for piece in pieces])
    loss = losses(logits.requires_grad_(True)).mean()
    (gradient,) = torch.autograd.grad(loss, logits)
    seed_dropout(recipe.seed, step)
    for piece, wanted in zip(pieces, torch.split(gradient, list(map(len, pieces))), strict=True):
        engine.backward((engine.forward(*inputs.batch(piece)).float() * wanted).sum(), last=True)
    return loss.detach()


def seed_dropout(seed: int, step: int) -> None:
    """The dropout of a step depends on the seed and the step alone."""
    torch.manual_seed((seed * 1_000_003 + step) * 1_009 % 2**63)


def main(recipe: Recipe, reading: Reading, data: str, smaller: Mapping[int, Reading]) -> None:
    """Train on transfer examples, and print P(class 1) of the others in a JSONL file, a line each.

    Every line is {"text": …} or {"prompt": …, "first": …, "second": …}. Lines whose "split" is "transfer" are
    trained on; they also have "weak", the weak supervisor's P(class 1), and where the method asks for it
    "spread", the standard deviation over its models. A file without such lines holds new examples to answer:
    those to train on are then read from the file that was exported with this one. Where a smaller model of a
    chain writes messages in its own way, its number in "written" has the line's texts.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    own = Path(sys.argv[0]).parent / data
    parser.add_argument("--data", default=str(own), help="lines to answer, as above; default: %(default)s")
    parser.add_argument("--model", default=None, help=f"default: {reading.path}")
    parser.add_argument("--seed", type=int, default=recipe.seed, help="default: %(default)s")
    pieces = "examples that pass the model together, None: a whole batch; default: %(default)s"
    parser.add_argument("--micro-batch", type=int, default=recipe.micro_batch, help=pieces)
    parser.add_argument("--threads", type=int, default=recipe.threads, help="on CPUs; default: %(default)s")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    try:
        learn, ask = read_data(Path(given.data), own)
    except (OSError, ValueError) as error:
        parser.exit(2, f"{error}\n")
    base = loaded(replace(reading, path=given.model or reading.path))
    weak = np.array([record["weak"] for record in learn], dtype=np.float32)
    known = {
        name: np.array([record[name] for record in learn], dtype=np.float32)
        for name in KNOWN
        if name in learn[0]
    }
    chain = {
        number: (loaded(model), as_written(learn, number), as_written(ask, number))
        for number, model in smaller.items()
    }
    recipe = replace(recipe, seed=given.seed, micro_batch=given.micro_batch)
    for probability in run(recipe, base, as_examples(learn), weak, as_examples(ask), known, chain):
        sys.stdout.write(f"{probability:.6f}\n")


def read_data(file: Path, own: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The examples to train on, and those to answer. own: has the first where the file has none.

    Raises ValueError, one line that says what the file must hold.
    """
    records: list[dict[str, Any]] = read_records(file)
    learn = [record for record in records if record.get("split") == "transfer"]
    ask = [record for record in records if record.get("split") != "transfer"]
    if not ask:
        raise ValueError(f"{file}: holds no example to answer: add lines without split")
    if not learn:
        if not own.is_file():
            raise ValueError(
                f"{file}: holds no example to train on, and {own} is gone: put it back, or add lines with "
                '"split": "transfer" and "weak", the weak supervisor\'s P(class 1)'
            )
        learn = [record for record in read_records(own) if record.get("split") == "transfer"]
    if not all(isinstance(record.get("weak"), int | float) for record in learn):
        raise ValueError(f'{file}: lines with "split": "transfer" must have "weak", a number from 0 to 1')
    if ("text" in learn[0]) != ("text" in ask[0]):
        kinds = ("single texts", "text") if "text" in learn[0] else ("pairs", "prompt, first and second")
        raise ValueError(f"{file}: the method learns from {kinds[0]}: give lines with {kinds[1]}")
    return learn, ask


def loaded(reading: Reading) -> Base:
    """A model by its hub id or folder, which may lie beside this file."""
    beside = Path(sys.argv[0]).parent / reading.path
    return Base(replace(reading, path=str(beside)) if beside.is_dir() else reading)


def as_written(records: Sequence[dict[str, Any]], number: int) -> Examples:
    """The examples as the template of a smaller model writes them."""
    return as_examples([record.get("written", {}).get(str(number), record) for record in records])
