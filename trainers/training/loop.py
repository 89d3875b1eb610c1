"""One training: examples, targets and weights in, a trained model out, with a halt at every rung."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from trainers.cache import digest
from trainers.components.losses import Loss
from trainers.components.optim import Adamw, lr_factor
from trainers.components.selection import Phase, Plan
from trainers.data.tokens import length_batches, sorted_batches
from trainers.gang import go_on, world_size
from trainers.training.checkpoint import Checkpoint, Keeper
from trainers.training.deepspeed_engine import device
from trainers.training.inputs import FeatureInputs, Floats, Inputs, Rows, TokenInputs
from trainers.training.session import (
    Batch,
    Diverged,
    Event,
    MicroBatchHalved,
    Objective,
    OutOfMemory,
    Session,
)
from trainers.training.settings import EngineConfig

__all__ = [
    "Checkpoint",
    "Diverged",
    "FeatureInputs",
    "Floats",
    "Inputs",
    "MicroBatchHalved",
    "OutOfMemory",
    "Recipe",
    "Rows",
    "TokenInputs",
    "fit",
    "forward",
    "predict",
    "total_steps",
]

log = logging.getLogger(__name__)

CHECK_EVERY = 20  # steps between looks at the loss: each look waits for the device


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
    *,
    checkpoint: Checkpoint | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Iterator[float]:
    """Train, and yield at every rung the share of the training that is done.

    targets: float32 [n], P(class 1). rungs: rising shares of the training. Where the last is below 1 the
    training pauses there: its state is saved, that rung is yielded, and nothing follows.
    checkpoint: where to keep the state at rungs, needed for a pause, and to go on from it: rungs before the
    state are not yielded again, one that it was saved at is. on_event: told when a micro-batch was halved
    because memory ran out.
    The model is in evaluation mode while a rung is being handled. Closing the iterator ends the training,
    in a gang that of every member (the others raise GangStopped). Under ZeRO-3 the model can be used only
    while the iterator is open. Raises Diverged when the loss or the gradient is not finite, OutOfMemory when
    one example is too much, in a gang or under ZeRO-3 when the micro-batch is.
    """
    total = total_steps(recipe.plan, recipe.optim)
    halts = {max(1, math.ceil(rung * total)): rung for rung in rungs}
    model.to(device()).train()
    objective = Objective(
        inputs=inputs,
        targets=torch.from_numpy(targets).to(device()),
        loss=recipe.loss,
        keep_share=recipe.plan.keep_share,
    )
    with closing(
        Session(model, parameters, objective, recipe.optim, _engine(recipe, inputs), recipe.seed, on_event)
    ) as session:
        keeper = Keeper(checkpoint, session, _identity(recipe, targets)) if checkpoint else None
        done = keeper.resume() if keeper else 0
        last = max(halts)
        if done in halts:
            model.eval()
            yield from _rung(halts[done])
            model.train()
        for step, (rows, phase) in enumerate(_steps(inputs.lengths, recipe, total)):
            if max(step, done) >= last:
                break
            if step < done:
                continue
            progress = step / total
            batch = Batch(step=step, progress=progress, rows=rows, weights=phase.weights[rows])
            loss = session.step(batch, recipe.optim.lr * phase.lr_scale * lr_factor(recipe.optim, progress))
            halt = halts.get(step + 1)
            if halt is not None or step % CHECK_EVERY == 0:
                _check(loss, step + 1, total)
            if halt is not None:
                pauses = step + 1 == last < total
                if keeper and pauses:
                    keeper.save(step + 1)
                model.eval()
                yield from _rung(halt)
                model.train()
                if keeper and step + 1 < last:
                    keeper.save_if_worth_it(step + 1)
    model.eval()


def _rung(share: float) -> Iterator[float]:
    """Yield, and tell the members of a gang whether that was the end."""
    try:
        yield share
    except GeneratorExit:
        with suppress(RuntimeError):  # a member that is gone needs no word
            go_on(False)
        raise
    go_on(True)


def _engine(recipe: Recipe, inputs: Inputs) -> EngineConfig:
    """A probe stays in float32, as its features are: half precision would save nothing."""
    if isinstance(inputs, FeatureInputs):
        return recipe.engine.model_copy(update={"precision": "fp32"})
    return recipe.engine


def _check(loss: torch.Tensor, step: int, total: int) -> None:
    """All members of a gang look at the same number, so that all of them stop or none."""
    if world_size() > 1:
        dist.all_reduce(loss)
    if not math.isfinite(loss.item()):
        raise Diverged(f"the loss is {loss.item()} at step {step} of {total}")


def _identity(recipe: Recipe, targets: Floats) -> str:
    """Changes with whatever makes a saved state that of another training."""
    phases = [part for one in recipe.plan.phases for part in (one.start, one.lr_scale, one.weights)]
    settings = (recipe.loss.model_dump(), recipe.optim.model_dump(), recipe.seed)
    shape = (recipe.engine.zero_stage, recipe.engine.precision, recipe.engine.offload, world_size())
    return digest(*settings, *shape, targets, *phases)


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


# Tokens a forward batch, near the fastest on each; halved for good where this process ran out of memory.
EVAL_TOKENS = {"cpu": 2_048, "cuda": 131_072}


def predict(model: torch.nn.Module, inputs: Inputs) -> Floats:
    """The model's P(class 1) for every example, float32 [n]. Raises Diverged where one is not a number."""
    probabilities: Floats = torch.softmax(forward(model, inputs, model), dim=1)[:, 1].numpy()
    if not np.isfinite(probabilities).all():
        raise Diverged("the model's predictions are not numbers")
    return probabilities


@torch.no_grad()
def forward(read: Callable[..., torch.Tensor], inputs: Inputs, model: torch.nn.Module) -> torch.Tensor:
    """What `read`, a view of `model`, says of every example, float32 [n, d] on the CPU.

    Batches are halved where memory runs out, and stay so in this process. Raises torch.OutOfMemoryError
    where one example is too much.
    """
    model.to(device()).eval()
    lengths, kind = inputs.lengths, device().type
    while True:
        try:
            return _forward(read, inputs, sorted_batches(lengths, EVAL_TOKENS[kind]))
        except torch.OutOfMemoryError:
            if EVAL_TOKENS[kind] <= lengths.max():
                raise
        EVAL_TOKENS[kind] //= 2
        log.warning("out of memory: predicting with %d tokens at a time", EVAL_TOKENS[kind])


def _forward(
    read: Callable[..., torch.Tensor], inputs: Inputs, batches: Sequence[NDArray[np.int64]]
) -> torch.Tensor:
    outputs = torch.cat([read(*inputs.batch(rows)).float().cpu() for rows in batches])
    scattered = torch.empty_like(outputs)
    scattered[torch.from_numpy(np.concatenate(batches))] = outputs
    return scattered
