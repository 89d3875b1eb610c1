"""Trains an exported method by plain PyTorch: the steps of `trainers`, without DeepSpeed, rungs or gangs."""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search.export.parts.base import Base, Reading, as_examples, as_probs, combined
from trainers.components.optim import lr_factor
from trainers.components.selecting.plans import Plan, alike
from trainers.components.selection import Confidence, keep_confident, small_loss_weights
from trainers.components.weak_labels import Evidence, check_probabilities, harden
from trainers.data.examples import Examples
from trainers.data.tokens import Tokens
from trainers.seeds import derived_seed
from trainers.training.deepspeed_engine import device
from trainers.training.inputs import FeatureInputs, Floats, Inputs, TokenInputs
from trainers.training.loop import forward, planned_batches, total_steps
from trainers.training.orders import Asked, answer
from trainers.training.plain_engine import adamw

ROUNDING = 1e-9  # shares such as 1/9 are not exact
Step = tuple[Callable[..., Any], Any]  # a component's function and its settings


@dataclass(frozen=True, kw_only=True)
class OwnAnswers:
    """Self-training: as many further trainings, each on the student's own answers to the transfer split.

    targets: soft, hard, or confident: hard, on the surest share. fresh: each begins anew.
    """

    rounds: int
    targets: str
    share: float
    fresh: bool


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A method, as functions with their settings.

    labels: the steps from weak probabilities to targets. batch_loss: (settings, log-probabilities [b, 2],
    targets [b], progress) -> a loss an example. trained, answered: the orders of pairs, 1 or 2. members: how
    many students answer by an aggregate of their log-odds; trim: the share left out at either end.
    """

    labels: Sequence[Step]
    select: Step
    batch_loss: Step
    student: Step
    optim: Any
    trained: int
    answered: int
    seed: int
    own: OwnAnswers | None = None
    members: int = 1
    aggregate: str = "mean"
    trim: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What a training learns: targets P(class 1), float32 [n], and the weights of examples over time."""

    targets: Floats
    plan: Plan


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


def run(recipe: Recipe, base: Base, learn: Examples, weak: Floats, ask: Examples) -> Floats:
    """Train on weak P(class 1) of `learn`, float32 [n]; returns P(class 1) of every example of `ask`.

    Each member is trained on the weak labels and then, for self-training, on its own answers.
    """
    data, asked = Data(base, learn), Data(base, ask)
    evidence = Evidence(weak_probs=weak, features=data.evidence, prior=no_prior, seed=recipe.seed)
    own = recipe.own
    stages = [
        (member, turn) for member in range(recipe.members) for turn in range(1 + (own.rounds if own else 0))
    ]
    first = learned_from_labels(recipe, evidence)
    answers: dict[int, Floats] = {}
    student: Any = None
    for place, (member, turn) in enumerate(stages):
        share = min(1.0, recipe.optim.stop * len(stages) - place)
        if share <= ROUNDING:
            break
        learned = first
        if turn and own:
            layer = data.asked(student.layer, recipe.answered)
            learned = learned_from_itself(own, evidence.with_probs(as_probs(answer(student.module, layer))))
        if turn == 0 or (own and own.fresh):
            seed = derived_seed(recipe.seed, member) if member else recipe.seed
            torch.manual_seed(seed)
            make, settings = recipe.student
            student = make(settings, base, seed, data.shown.words)
        learned = in_both_orders(learned) if recipe.trained == 2 else learned
        inputs = data.inputs(student.layer, "both" if recipe.trained == 2 else "shown")
        fit(student.module, student.parameters, inputs, learned, replace(recipe, seed=seed), share)
        answers[member] = answer(student.module, asked.asked(student.layer, recipe.answered))
    stacked = np.stack(list(answers.values())).astype(np.float64)
    return as_probs(combined(stacked, recipe.aggregate, int(recipe.trim * len(stacked) + ROUNDING)))


def learned_from_labels(recipe: Recipe, evidence: Evidence) -> Learned:
    """The targets that the label steps make, and the weights that the selection gives."""
    targets = made_targets(recipe.labels, evidence)
    choose, settings = recipe.select
    return Learned(targets=targets, plan=choose(settings, evidence, targets))


def learned_from_itself(own: OwnAnswers, evidence: Evidence) -> Learned:
    """A student's answers, given as the evidence's probabilities, as targets of its next training."""
    probs = np.asarray(evidence.weak_probs, dtype=np.float32)
    targets = probs if own.targets == "soft" else harden(probs).astype(np.float32)
    if own.targets != "confident":
        return Learned(targets=targets, plan=Plan(phases=(alike(np.ones(len(targets), dtype=np.bool_)),)))
    surest = Confidence(share=own.share, balanced=False, weights="equal")
    return Learned(targets=targets, plan=keep_confident(surest, evidence, targets))


def in_both_orders(learned: Learned) -> Learned:
    """Pairs as shown, then exchanged with mirrored targets."""
    targets = np.concatenate([learned.targets, 1 - learned.targets])
    phases = [replace(phase, weights=np.tile(phase.weights, 2)) for phase in learned.plan.phases]
    return Learned(targets=targets, plan=Plan(phases=tuple(phases), keep_share=learned.plan.keep_share))


def no_prior() -> Any:
    """No component of an exported method asks the strong model."""
    raise NotImplementedError


def made_targets(steps: Sequence[Step], evidence: Evidence) -> Floats:
    """The training targets P(class 1), float32 [n]: each step takes the last one's probabilities."""
    check_probabilities("weak", evidence.weak_probs)
    for function, settings in steps:
        evidence = evidence.with_probs(function(settings, evidence))
    return np.asarray(evidence.weak_probs, dtype=np.float32)


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
        losses = function(settings, log_probs, weak[rows], progress) * weights
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
            sys.stderr.write(f"step {step} of {last}, loss {float(losses.mean()):.4f}\n")
    model.eval()


def seed_dropout(seed: int, step: int) -> None:
    """The dropout of a step depends on the seed and the step alone."""
    torch.manual_seed((seed * 1_000_003 + step) * 1_009 % 2**63)


def main(recipe: Recipe, reading: Reading, data: str) -> None:
    """Train on the transfer examples of a JSONL file, and print P(class 1) of the others, a line each.

    Every line is {"split": …, "text": …} or {"split": …, "prompt": …, "first": …, "second": …}; those of the
    split transfer also have "weak", the weak supervisor's P(class 1).
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
    recipe = replace(recipe, seed=given.seed)
    for probability in run(recipe, base, as_examples(learn), weak, as_examples(ask)):
        sys.stdout.write(f"{probability:.6f}\n")
