"""The optimizer steps of a training, in pieces that fit the memory, with the gradient of the whole batch.

A step's loss is a mean over the global batch. It is cut into the shares of a gang's members, and a share
into micro-batches; the gradients of the pieces add up to that of the whole. If a loss depends on the whole
batch (the threshold of logconf, the smallest losses), its gradient with respect to the logits of the whole
batch is computed first, in a forward pass without a graph, and then propagated through the pieces (the
gradient cache of Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup").
"""

import gc
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from trainers.components.losses import COUPLING, Loss, example_losses
from trainers.components.optim import Adamw
from trainers.components.selection import small_loss_weights
from trainers.gang import rank, world_size
from trainers.models.pool import Classifier
from trainers.scratch import scratch_folder
from trainers.training.deepspeed_engine import Engine, device, on_device, training_engine
from trainers.training.inputs import Floats, Inputs, Rows
from trainers.training.packed.passes import PackedPasses
from trainers.training.passes import PaddedPasses, Passes, Piece
from trainers.training.plain_engine import PlainEngine
from trainers.training.settings import EngineConfig

log = logging.getLogger(__name__)


class Diverged(Exception):
    """A training whose loss or gradient is no longer a finite number."""


class OutOfMemory(Exception):
    """A training does not fit the device's memory.

    micro_batch: the micro-batch with which it may fit after a restart in new processes; None if none may fit.
    """

    def __init__(self, message: str, micro_batch: int | None) -> None:
        super().__init__(message, micro_batch)
        self.micro_batch = micro_batch

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, kw_only=True)
class MicroBatchHalved:
    """Memory ran out at a step (counted from 0); training goes on with a smaller micro-batch."""

    step: int
    micro_batch: int


Event = MicroBatchHalved
PARTS, MOST_KEPT = 16, 1024  # of a curve of losses: means, and losses that wait for the next rung


class LossCurve:
    """The losses of a training's steps since they were last taken, as a few means.

    They stay on the device until then, because a step must not wait for it.
    """

    def __init__(self, steps: int) -> None:
        self._every = max(1, steps // MOST_KEPT)
        self._seen = 0
        self._kept: list[torch.Tensor] = []

    def watched(self, step: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        """The step, whose loss is noted once it is taken."""

        def take() -> torch.Tensor:
            loss = step()
            if self._seen % self._every == 0:
                self._kept.append(loss.detach().float().clone())  # a gang adds up the loss in place
            self._seen += 1
            return loss

        return take

    def taken(self) -> list[float]:
        """The means of at most PARTS equal parts of what was kept since the last call."""
        losses = torch.stack(self._kept).tolist() if self._kept else []
        self._kept.clear()
        return means(losses)


def means(values: Sequence[float]) -> list[float]:
    """The means of at most PARTS parts of the finite values, as equal as can be, in order."""
    kept = [value for value in values if np.isfinite(value)]
    return [float(np.mean(part)) for part in np.array_split(kept, min(PARTS, len(kept)))] if kept else []


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What training minimises: the mean over a batch of weights · losses.

    keep_share: None, or progress -> share of a batch's smallest losses that count. evidence: see `fit`.
    """

    inputs: Inputs
    targets: torch.Tensor
    loss: Loss
    keep_share: Callable[[float], float] | None
    evidence: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @property
    def couples(self) -> bool:
        """Whether an example's loss depends on the rest of its batch."""
        return self.keep_share is not None or (isinstance(self.loss, COUPLING) and self.loss.couples)

    def losses(self, logits: torch.Tensor, rows: Rows, weights: Floats, progress: float) -> torch.Tensor:
        """The weighted loss of every example, float32 [b]; logits: [b, 2]."""
        here = on_device(rows)
        known = {name: values[here] for name, values in self.evidence.items()}
        losses = example_losses(self.loss, logits.float(), self.targets[here], progress, known)
        losses = losses * on_device(weights)
        if self.keep_share is not None:
            losses = losses * small_loss_weights(losses.detach(), self.keep_share(progress))
        return losses


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The global batch of a step: rows of the inputs and their weights, both [b]."""

    step: int
    progress: float
    rows: Rows
    weights: Floats


class Session:
    """The engine of a training, restarted with a smaller micro-batch when memory runs out."""

    def __init__(
        self,
        model: torch.nn.Module,
        parameters: list[torch.nn.Parameter],
        objective: Objective,
        optim: Adamw,
        config: EngineConfig,
        seed: int,
        on_event: Callable[[Event], None],
    ) -> None:
        self._model, self._parameters, self._objective = model, parameters, objective
        self._optim, self._config, self._seed, self._on_event = optim, config, seed, on_event
        share = -(-optim.batch_size // world_size())
        self._micro_batch = min(config.micro_batch or share, share)
        self._stack = ExitStack()
        self._open()

    def _open(self) -> None:
        self._engine: Engine | PlainEngine = self._stack.enter_context(
            training_engine(self._model, self._parameters, self._optim, self._config)
        )
        self._passes = self._how()

    def _how(self) -> Passes:
        engine, inputs, batch_size = self._engine, self._objective.inputs, self._optim.batch_size
        if isinstance(engine, PlainEngine) and engine.packs:
            assert isinstance(self._model, Classifier)
            return PackedPasses(self._model, engine, inputs, batch_size, self._config)
        return PaddedPasses(engine, inputs, batch_size)

    @property
    def engine(self) -> str:
        """The name of the engine that trains."""
        return self._engine.name

    @property
    def passes(self) -> str:
        """How the model is passed through, as words after a comma; empty if there is nothing to say."""
        return self._passes.name

    def close(self) -> None:
        """Free the engine, and what is captured of the model."""
        self.__dict__.pop("_passes", None)
        self._stack.close()

    def save(self, folder: Path) -> None:
        """Save what a training needs to resume from here; the members of a gang share the folder."""
        self._engine.save(folder, {"micro_batch": self._micro_batch})

    def load(self, folder: Path) -> None:
        """Resume from what `save` wrote."""
        self._micro_batch = self._engine.load(folder)["micro_batch"]

    def step(self, batch: Batch, lr: float) -> torch.Tensor:
        """Update the parameters; returns the loss before the update, a scalar: this member's part of a mean.

        Raises Diverged if the engine reports a gradient that is not finite; the caller checks the loss.
        Raises OutOfMemory if not even a single example fits, or if memory runs out in a gang or under ZeRO-3,
        which cannot go on in this process.
        """
        while True:
            try:
                loss = self._accumulate(batch)
                break
            except torch.OutOfMemoryError as error:
                reason = str(error).splitlines()[0]
            self._shrink(batch, reason)
        if not self._engine.step(lr):
            raise Diverged(f"the gradient is not finite at step {batch.step + 1}")
        return loss

    def _shrink(self, batch: Batch, reason: str) -> None:
        tried = self._micro_batch
        place = f"out of memory at step {batch.step + 1} with a micro-batch of {tried}"
        longest = int(self._objective.inputs.lengths[batch.rows].max())
        if tried == 1:
            raise OutOfMemory(
                f"{place}, {longest} tokens long ({reason}): use a shorter max_length, "
                "gradient_checkpointing, a higher zero_stage or offload",
                None,
            )
        if world_size() > 1 or self._config.zero_stage == 3:
            raise OutOfMemory(f"{place} ({reason}): start again with micro_batch {tried // 2}", tried // 2)
        with scratch_folder() as folder:
            self.save(folder)
            self.close()
            gc.collect()
            torch.cuda.empty_cache()
            self._open()
            self.load(folder)
        self._micro_batch = tried // 2
        log.warning("%s: going on with %d", place, self._micro_batch)
        self._on_event(MicroBatchHalved(step=batch.step, micro_batch=self._micro_batch))

    def _accumulate(self, batch: Batch) -> torch.Tensor:
        """Run forward and backward passes over this member's pieces of the batch."""
        pieces = self._passes.pieces(batch.rows, self._micro_batch)
        if not self._objective.couples:
            return self._separable(batch, pieces)
        if len(pieces) == 1 and world_size() == 1:
            return self._separable(batch, pieces)
        return self._coupled(batch, pieces)

    def _separable(self, batch: Batch, pieces: list[Piece]) -> torch.Tensor:
        self._seed_dropout(batch)
        total = torch.zeros((), device=device())
        for number, piece in enumerate(pieces, start=1):
            rows = batch.rows[piece.places]
            logits = self._logits(rows)
            losses = self._objective.losses(logits, rows, batch.weights[piece.places], batch.progress)
            loss = losses.sum() * (piece.counts * world_size() / len(batch.rows))
            self._engine.backward(loss, last=number == len(pieces))
            total += loss.detach()
        return total

    def _coupled(self, batch: Batch, pieces: list[Piece]) -> torch.Tensor:
        loss, gradient = self._gradient(batch, pieces)
        self._seed_dropout(batch)
        for number, piece in enumerate(pieces, start=1):
            logits = self._logits(batch.rows[piece.places])
            wanted = gradient[on_device(piece.places)]
            propagated = (logits.float() * wanted).sum() * (piece.counts * world_size())
            self._engine.backward(propagated, last=number == len(pieces))
        return loss

    def _gradient(self, batch: Batch, pieces: list[Piece]) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss of the global batch, and its gradient with respect to the logits, float32 [b, 2]."""
        self._seed_dropout(batch)
        logits = torch.zeros((len(batch.rows), 2), device=device())
        with torch.no_grad():
            for piece in pieces:
                output = self._logits(batch.rows[piece.places])
                logits[on_device(piece.places)] += output.float() * piece.counts
            if world_size() > 1:
                dist.all_reduce(logits)
        logits.requires_grad_(True)
        loss = self._objective.losses(logits, batch.rows, batch.weights, batch.progress).mean()
        (gradient,) = torch.autograd.grad(loss, logits)
        return loss.detach(), gradient

    def _logits(self, rows: Rows) -> torch.Tensor:
        """The model's logits of these rows, [rows, 2]."""
        return self._passes.logits(rows, self._micro_batch)

    def _seed_dropout(self, batch: Batch) -> None:
        """Seed dropout by seed, step and rank alone: a repeated or resumed step has the same dropout."""
        seed = ((self._seed * 1_000_003 + batch.step) * 1_009 + rank()) % 2**63
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_available():
            torch.cuda.manual_seed(seed)
