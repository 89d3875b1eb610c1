"""The training loop: examples, targets and weights in, a trained model out, with a stop at every rung."""

import logging
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from trainers.cache import digest
from trainers.components.losses import Loss
from trainers.components.optim import Adamw, lr_factor
from trainers.components.selecting.plans import Phase, Plan
from trainers.data.tokens import length_batches, sorted_batches
from trainers.gang import go_on, world_size
from trainers.seeds import derived_seed
from trainers.training.checkpoint import Checkpoint, Keeper
from trainers.training.compilation import long_enough, padded_lengths
from trainers.training.deepspeed_engine import device
from trainers.training.inputs import FeatureInputs, Floats, Inputs, Rows, TokenInputs
from trainers.training.memory.pieces import decided
from trainers.training.packed.reader import wants_packed
from trainers.training.session import (
    Batch,
    Diverged,
    Event,
    LossCurve,
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
    "planned_batches",
    "predict",
    "stepped",
    "total_steps",
]

log = logging.getLogger(__name__)

CHECK_EVERY = 20  # steps between checks of the loss, because each check waits for the device


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that defines a training, apart from the model and its examples."""

    plan: Plan
    loss: Loss
    optim: Adamw
    engine: EngineConfig
    seed: int


def total_steps(plan: Plan, optim: Adamw) -> int:
    """Optimizer steps of the whole training: epochs over the plan's largest phase, at least 1."""
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
    evidence: Mapping[str, Floats] = MappingProxyType({}),
    ends: bool = False,
    checkpoint: Checkpoint | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    on_losses: Callable[[list[float]], None] = lambda losses: None,
    on_engine: Callable[[str], None] = lambda engine: None,
) -> Iterator[float]:
    """Train, and yield the share of the training that is done at every rung.

    targets: float32 [n], P(class 1). rungs: rising shares of the schedule; if the last is below 1, training
    pauses there: its state is saved, the rung is yielded, and the iterator ends. evidence: what the loss
    takes of what is known of the examples, float32 [n] each. ends: whether training ends at the last rung for
    good, so that no state is saved there.
    checkpoint: where the state is saved at rungs, required for a pause. Training resumes from it: earlier
    rungs are skipped, and the checkpointed rung is yielded again. on_event: called when a micro-batch is
    halved because memory ran out. on_losses: called before a rung with the losses since the
    last one, as a few means; in a gang those of this member's share of the batches. on_engine: called at the
    start with what trains: deepspeed or torch, and whether layers are compiled.
    The model is in evaluation mode while a rung is handled. Closing the iterator ends the training, in a
    gang that of every member (the others raise GangStopped). Under ZeRO-3 the model can be used only while
    the iterator is open. Raises Diverged if the loss or the gradient is not finite, OutOfMemory if a single
    example does not fit, or, in a gang or under ZeRO-3, if the micro-batch does not.
    """
    total = total_steps(recipe.plan, recipe.optim)
    model.to(device()).train()
    objective = Objective(
        inputs=inputs,
        targets=torch.from_numpy(targets).to(device()),
        evidence={name: torch.from_numpy(values).to(device()) for name, values in evidence.items()},
        loss=recipe.loss,
        keep_share=recipe.plan.keep_share,
    )
    engine = decided(
        _engine(recipe, model, inputs, total),
        model,
        parameters,
        int(inputs.lengths.max()),
        recipe.optim.batch_size,
    )
    with closing(
        Session(model, parameters, objective, recipe.optim, engine, recipe.seed, on_event)
    ) as session:
        on_engine(session.engine + session.passes)
        keeper = Keeper(checkpoint, session, _identity(recipe, targets)) if checkpoint else None
        curve = LossCurve(total)
        steps = map(curve.watched, _steps(session, inputs.lengths, recipe, total))
        with closing(stepped(model, keeper, steps, rungs, total, ends=ends)) as shares:
            for share in shares:
                on_losses(curve.taken())
                yield share
    model.eval()


def stepped(
    model: torch.nn.Module,
    keeper: Keeper | None,
    steps: Iterable[Callable[[], torch.Tensor]],
    rungs: Sequence[float],
    total: int,
    *,
    ends: bool = False,
) -> Generator[float]:
    """Take the steps from the last saved state to the last rung; yields the rungs, as `fit` does.

    steps: each takes a step and returns a number that has to be finite, such as the loss; those before the
    saved state are not called. total: of all steps. Rungs that fall on one step are yielded one by one.
    """
    due: dict[int, list[float]] = {}
    for rung in rungs:
        due.setdefault(max(1, math.ceil(rung * total)), []).append(rung)
    done = keeper.resume() if keeper else 0
    last = max(due)
    yield from _rungs(model, due.get(done, ()))
    for step, take in enumerate(steps):
        if max(step, done) >= last:
            break
        if step < done:
            continue
        value = take()
        reached = due.get(step + 1, ())
        if reached or step % CHECK_EVERY == 0:
            _check(value, step + 1, total)
        if reached:
            pauses = step + 1 == last < total and not ends
            if keeper and pauses:
                keeper.save(step + 1)
            yield from _rungs(model, reached)
            if keeper and step + 1 < last:
                keeper.save_if_worth_it(step + 1)


def _rungs(model: torch.nn.Module, shares: Sequence[float]) -> Iterator[float]:
    """Yield in evaluation mode, then let the members of a gang know whether training goes on."""
    for share in shares:
        model.eval()
        try:
            yield share
        except GeneratorExit:
            with suppress(RuntimeError):  # a lost member cannot receive it
                go_on(False)
            raise
        go_on(True)
        model.train()


def _engine(recipe: Recipe, model: torch.nn.Module, inputs: Inputs, total: int) -> EngineConfig:
    """The engine's settings for a training of `total` steps.

    A probe stays in float32 like its features, as half precision saves nothing. A short training leaves its
    layers uncompiled unless that is asked for.
    """
    engine = recipe.engine
    if isinstance(inputs, FeatureInputs):
        return engine.model_copy(update={"precision": "fp32"})
    batch_size = recipe.optim.batch_size
    shapes = 1 if wants_packed(engine, model) else padded_lengths(inputs.lengths, batch_size)
    if engine.compile == "auto" and not long_enough(shapes, total):
        return engine.model_copy(update={"compile": "off"})
    return engine


def _check(loss: torch.Tensor, step: int, total: int) -> None:
    """Raise Diverged if the loss is not finite. A gang checks the sum, so that all members stop or none."""
    if world_size() > 1:
        dist.all_reduce(loss)
    if not math.isfinite(loss.item()):
        raise Diverged(f"the loss is {loss.item()} at step {step} of {total}")


def _identity(recipe: Recipe, targets: Floats) -> str:
    """A digest that identifies a training: its saved states are valid for this training only."""
    phases = [part for phase in recipe.plan.phases for part in (phase.start, phase.lr_scale, phase.weights)]
    settings = (recipe.loss.model_dump(), recipe.optim.model_dump(), recipe.seed)
    shape = (recipe.engine.zero_stage, recipe.engine.precision, recipe.engine.offload, world_size())
    return digest(*settings, *shape, targets, *phases)


def _steps(
    session: Session, lengths: NDArray[np.int64], recipe: Recipe, total: int
) -> Iterator[Callable[[], torch.Tensor]]:
    """The optimizer steps, in order."""
    for step, (rows, phase) in enumerate(planned_batches(lengths, recipe, total)):
        progress = step / total
        batch = Batch(step=step, progress=progress, rows=rows, weights=phase.weights[rows])
        yield partial(
            session.step, batch, recipe.optim.lr * phase.lr_scale * lr_factor(recipe.optim, progress)
        )


def planned_batches(lengths: NDArray[np.int64], recipe: Recipe, total: int) -> Iterator[tuple[Rows, Phase]]:
    """The rows of every step, epoch by epoch, over the examples that the current phase keeps."""
    step = epoch = 0
    while step < total:
        phase = _phase_at(recipe.plan, step / total)
        kept = np.flatnonzero(phase.weights)
        seed = derived_seed(recipe.seed, epoch)
        for batch in length_batches(lengths[kept], recipe.optim.batch_size, seed=seed):
            yield kept[batch], phase
            step += 1
            if step == total or _phase_at(recipe.plan, step / total) is not phase:
                break
        epoch += 1


def _phase_at(plan: Plan, progress: float) -> Phase:
    return [phase for phase in plan.phases if phase.start <= progress][-1]


# Tokens per batch of predictions, near the fastest; halved for good when this process runs out of memory.
EVAL_TOKENS = {"cpu": 2_048, "cuda": 131_072}


def predict(model: torch.nn.Module, inputs: Inputs) -> Floats:
    """The model's P(class 1) of every example, float32 [n]. Raises Diverged if one is not finite."""
    probabilities: Floats = torch.softmax(forward(model, inputs, model), dim=1)[:, 1].numpy()
    if not np.isfinite(probabilities).all():
        raise Diverged("the model's predictions are not numbers")
    return probabilities


@torch.no_grad()
def forward(read: Callable[..., torch.Tensor], inputs: Inputs, model: torch.nn.Module) -> torch.Tensor:
    """The outputs of `read`, a function of `model`, for every example: float32 [n, d] on the CPU.

    If memory runs out, batches are halved and stay so in this process. Raises torch.OutOfMemoryError if a
    single example does not fit.
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
