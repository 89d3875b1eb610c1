"""Trains an exported method by plain PyTorch: the steps of `trainers`, without DeepSpeed, rungs or gangs."""

import argparse
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from search.export.parts.base import Base, Reading, as_examples, as_probs, combined
from search.export.parts.learning import Learned, Lessons, Recipe, seed_of
from trainers.components.optim import lr_factor
from trainers.components.selecting.plans import Plan
from trainers.components.selection import small_loss_weights
from trainers.components.staging.sequence import ROUNDING, place_of, total_length
from trainers.components.weak_labels import Evidence
from trainers.data.examples import Examples
from trainers.data.tokens import Tokens
from trainers.lazy import special
from trainers.training.deepspeed_engine import device
from trainers.training.inputs import FeatureInputs, Floats, Inputs, Rows, TokenInputs
from trainers.training.loop import forward, planned_batches, total_steps
from trainers.training.orders import Asked, answer
from trainers.training.plain_engine import adamw

KNOWN = ("spread",)  # what transfer examples may have beside their weak labels


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """What decides the batches of a training."""

    plan: Plan
    optim: Any
    seed: int


class Data:
    """The examples of a split as a student takes them: tokens, or features of the untouched model."""

    def __init__(self, base: Base, examples: Examples) -> None:
        self._base = base
        self._examples = examples

    @cached_property
    def shown(self) -> Tokens:
        """The examples as they are."""
        return self._base.tokens(self._examples)

    @cached_property
    def swapped(self) -> Tokens:
        """Pairs with their responses exchanged."""
        return self._base.tokens(self._examples.exchanged())

    def inputs(self, layer: int | None, order: str = "shown") -> Inputs:
        """order: shown, swapped, or both, one after the other."""
        if layer is not None:
            orders = ["shown", "swapped"] if order == "both" else [order]
            features = torch.cat([self._features(getattr(self, name), layer) for name in orders])
            return FeatureInputs(features=features)
        tokens = self.shown.followed_by(self.swapped) if order == "both" else getattr(self, order)
        return TokenInputs(tokens=tokens, pad_id=self._base.pad_id)

    def asked(self, layer: int | None, orders: int) -> Asked:
        """The examples to be answered in one or two orders."""
        return Asked(shown=self.inputs(layer), swapped=self.inputs(layer, "swapped") if orders == 2 else None)

    @property
    def has_pairs(self) -> bool:
        """Whether the examples are pairs."""
        return self._examples.pairs is not None

    def evidence(self) -> np.ndarray:
        """Features of the last layer, float32 [n, d]; of pairs the difference between both orders."""
        layer = self._base.layer_at(1.0)
        features = self._features(self.shown, layer)
        if self._examples.pairs is not None:
            features = features - self._features(self.swapped, layer)
        return np.asarray(features.numpy())

    def _features(self, tokens: Tokens, layer: int) -> torch.Tensor:
        model = self._base.fresh(0, words=tokens.words)
        read = partial(model.features, layer=layer)
        return forward(read, TokenInputs(tokens=tokens, pad_id=self._base.pad_id), model)


def run(
    recipe: Recipe,
    base: Base,
    learn: Examples,
    weak: Floats,
    ask: Examples,
    known: Mapping[str, Floats] = MappingProxyType({}),
) -> Floats:
    """Train on weak P(class 1) of `learn`, float32 [n]; returns P(class 1) of every example of `ask`.

    known: what else is known of `learn`: spread, how far the weak models of its supervisor differ.
    """
    data, asked = Data(base, learn), Data(base, ask)
    lessons = Lessons(recipe, evidence_from(recipe, data, weak, known))
    last, part = place_of(recipe.stages, recipe.optim.stop * total_length(recipe.stages))
    answers: dict[int, Floats] = {}
    student: Any = None
    for place, stage in enumerate(recipe.stages[: last + 1]):
        share, seed = lessons.due(stage, part) if place == last else 1.0, seed_of(recipe, stage)
        if not stage.continues:
            torch.manual_seed(seed)
            make, settings = recipe.student
            student = make(settings, base, seed, data.shown.words)
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


def evidence_from(recipe: Recipe, data: Data, weak: Floats, known: Mapping[str, Floats]) -> Evidence:
    """What the label steps and weights may ask about the transfer examples."""
    more: dict[str, Any] = {name: partial(known.__getitem__, name) for name in known}
    return Evidence(weak_probs=weak, features=data.evidence, prior=no_prior, seed=recipe.seed, **more)


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
    move(settings, student, recipe.student[1], learn, rate, seed, share)


def no_prior() -> Any:
    """No component of an exported method asks the strong model."""
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
    optim, plan = recipe.optim, learned.plan
    for parameter in parameters:
        parameter.data = parameter.data.float()
    model.to(device()).train()
    optimizer = adamw(parameters, optim)
    weak = torch.from_numpy(learned.targets).to(device())
    known = {name: torch.from_numpy(values).to(device()) for name, values in learned.evidence.items()}
    total = total_steps(plan, optim)
    last = min(total, max(1, math.ceil(share * total - ROUNDING)))
    schedule: Any = Schedule(plan=plan, optim=optim, seed=recipe.seed)
    for step, (rows, phase) in enumerate(planned_batches(inputs.lengths, schedule, total)):
        if step == last:
            break
        progress = step / total
        seed_dropout(recipe.seed, step)
        logits = model(*inputs.batch(rows))
        log_probs = torch.log_softmax(logits.float(), dim=-1)
        function, settings = recipe.batch_loss
        weights = torch.from_numpy(phase.weights[rows]).to(device())
        more = ({name: values[rows] for name, values in known.items()},) if known else ()
        losses = function(settings, log_probs, weak[rows], progress, *more) * weights
        if plan.keep_share is not None:
            losses = losses * small_loss_weights(losses.detach(), plan.keep_share(progress))
        losses.mean().backward()
        if optim.clip:
            torch.nn.utils.clip_grad_norm_(parameters, optim.clip, foreach=True)
        for group in optimizer.param_groups:
            group["lr"] = optim.lr * phase.lr_scale * lr_factor(optim, progress)
        optimizer.step()
        optimizer.zero_grad()
        if step % 20 == 0:
            sys.stderr.write(f"step {step} of {last}, loss {float(losses.detach().mean()):.4f}\n")
    model.eval()


def seed_dropout(seed: int, step: int) -> None:
    """The dropout of a step depends on the seed and the step alone."""
    torch.manual_seed((seed * 1_000_003 + step) * 1_009 % 2**63)


def main(recipe: Recipe, reading: Reading, data: str) -> None:
    """Train on the transfer examples of a JSONL file, and print P(class 1) of the others, a line each.

    Every line is {"split": …, "text": …} or {"split": …, "prompt": …, "first": …, "second": …}; those of the
    split transfer also have "weak", the weak supervisor's P(class 1), and where the method asks for it
    "spread", the standard deviation over its models.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--data", default=str(Path(sys.argv[0]).parent / data), help="default: %(default)s")
    parser.add_argument("--model", default=None, help=f"default: {reading.path}")
    parser.add_argument("--seed", type=int, default=recipe.seed, help="default: %(default)s")
    given = parser.parse_args()
    lines = Path(given.data).read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines if line.strip()]
    learn = [record for record in records if record["split"] == "transfer"]
    ask = [record for record in records if record["split"] != "transfer"]
    path = given.model or reading.path
    if not Path(path).is_absolute() and (Path(sys.argv[0]).parent / path).is_dir():
        path = str(Path(sys.argv[0]).parent / path)
    base = Base(replace(reading, path=path))
    weak = np.array([record["weak"] for record in learn], dtype=np.float32)
    known = {
        name: np.array([record[name] for record in learn], dtype=np.float32)
        for name in KNOWN
        if name in learn[0]
    }
    recipe = replace(recipe, seed=given.seed)
    for probability in run(recipe, base, as_examples(learn), weak, as_examples(ask), known):
        sys.stdout.write(f"{probability:.6f}\n")
