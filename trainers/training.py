"""One training: examples, targets and weights in, a trained model out, with a halt at every rung."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from trainers.engine import EngineConfig, device, training_engine
from trainers.losses import Loss, example_losses
from trainers.optim import Adamw, lr_factor
from trainers.selection import Phase, Plan, small_loss_weights
from trainers.tokens import Tokens, length_batches, sorted_batches

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]
CHECK_EVERY = 20  # steps between looks at the loss: each look waits for the device


class Diverged(Exception):
    """A training whose loss is no longer a finite number."""


class Inputs(Protocol):
    """Examples as a model takes them."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens an example, int64 [n]."""

    def batch(self, rows: Rows) -> tuple[torch.Tensor, ...]:
        """The arguments of the model's forward pass for these rows, on the device."""


@dataclass(frozen=True, kw_only=True)
class TokenInputs:
    """Token sequences, padded to the longest of a batch."""

    tokens: Tokens
    pad_id: int

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens an example, int64 [n]."""
        return self.tokens.lengths

    def batch(self, rows: Rows) -> tuple[torch.Tensor, ...]:
        """(input ids, attention mask), int64 [rows, longest]."""
        ids, mask = self.tokens.pad_batch(rows, self.pad_id)
        return ids.to(device()), mask.to(device())


@dataclass(frozen=True, kw_only=True)
class FeatureInputs:
    """Frozen features, float32 [n, d]: a probe's examples, all of length one."""

    features: torch.Tensor

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Ones, int64 [n]."""
        return np.ones(len(self.features), dtype=np.int64)

    def batch(self, rows: Rows) -> tuple[torch.Tensor, ...]:
        """(features,), float32 [rows, d]."""
        return (self.features[torch.from_numpy(rows)].to(device()),)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides a training apart from the model and its examples."""

    plan: Plan
    loss: Loss
    optim: Adamw
    engine: EngineConfig
    seed: int


def total_steps(plan: Plan, optim: Adamw) -> int:
    """Optimizer steps of the whole training: epochs over the fullest phase of the plan, at least one."""
    kept = max(int(np.count_nonzero(phase.weights)) for phase in plan.phases)
    return max(1, round(optim.epochs * math.ceil(kept / optim.batch_size)))


def fit(
    model: torch.nn.Module,
    parameters: list[torch.nn.Parameter],
    inputs: Inputs,
    targets: Floats,
    recipe: Recipe,
    rungs: Sequence[float],
) -> Iterator[float]:
    """Train, and yield at every rung the share of the training that is done.

    targets: float32 [n], P(class 1). rungs: rising shares of the training, the last one 1.
    The model is in evaluation mode while a rung is being handled. Closing the iterator ends the training.
    Raises Diverged when the loss is not finite.
    """
    total = total_steps(recipe.plan, recipe.optim)
    halts = {max(1, math.ceil(rung * total)): rung for rung in rungs}
    model.to(device()).train()
    wanted = torch.from_numpy(targets).to(device())
    with training_engine(model, parameters, recipe.optim, recipe.engine) as engine:
        for step, (rows, phase) in enumerate(_steps(inputs.lengths, recipe, total)):
            progress = step / total
            for group in engine.optimizer.param_groups:
                group["lr"] = recipe.optim.lr * phase.lr_scale * lr_factor(recipe.optim, progress)
            logits = engine(*inputs.batch(rows)).float()
            loss = _batch_loss(recipe, logits, wanted[rows], phase.weights[rows], progress)
            engine.backward(loss)
            engine.step()
            halt = halts.get(step + 1)
            if (halt is not None or step % CHECK_EVERY == 0) and not math.isfinite(loss.item()):
                raise Diverged(f"the loss is {loss.item()} at step {step + 1} of {total}")
            if halt is not None:
                model.eval()
                yield halt
                model.train()
    model.eval()


def _batch_loss(
    recipe: Recipe, logits: torch.Tensor, targets: torch.Tensor, weights: Floats, progress: float
) -> torch.Tensor:
    losses = example_losses(recipe.loss, logits, targets, progress)
    losses = losses * torch.from_numpy(weights).to(losses.device)
    if recipe.plan.keep_share is not None:
        losses = losses * small_loss_weights(losses.detach(), recipe.plan.keep_share(progress))
    return losses.mean()


def _steps(lengths: NDArray[np.int64], recipe: Recipe, total: int) -> Iterator[tuple[Rows, Phase]]:
    """The rows of every step, an epoch after another, over the examples that the phase in force keeps."""
    step = epoch = 0
    while step < total:
        phase = _phase_at(recipe.plan, step / total)
        kept = np.flatnonzero(phase.weights)
        seed = int(np.random.SeedSequence([recipe.seed, epoch]).generate_state(1)[0])
        for batch in length_batches(lengths[kept], recipe.optim.batch_size, seed=seed):
            yield kept[batch], phase
            step += 1
            if step == total or _phase_at(recipe.plan, step / total) is not phase:
                break
        epoch += 1


def _phase_at(plan: Plan, progress: float) -> Phase:
    return [phase for phase in plan.phases if phase.start <= progress][-1]


EVAL_TOKENS = {"cpu": 8_192, "cuda": 131_072}  # tokens a forward batch: near the fastest on each


def predict(model: torch.nn.Module, inputs: Inputs) -> Floats:
    """The model's P(class 1) for every example, float32 [n]. Raises Diverged where one is not a number."""
    probabilities: Floats = torch.softmax(forward(model, inputs, model), dim=1)[:, 1].numpy()
    if not np.isfinite(probabilities).all():
        raise Diverged("the model's predictions are not numbers")
    return probabilities


@torch.inference_mode()
def forward(read: Callable[..., torch.Tensor], inputs: Inputs, model: torch.nn.Module) -> torch.Tensor:
    """What `read`, a view of `model`, says of every example, float32 [n, d] on the CPU."""
    model.to(device()).eval()
    batches = sorted_batches(inputs.lengths, EVAL_TOKENS[device().type])
    outputs = torch.cat([read(*inputs.batch(rows)).float().cpu() for rows in batches])
    scattered = torch.empty_like(outputs)
    scattered[torch.from_numpy(np.concatenate(batches))] = outputs
    return scattered
