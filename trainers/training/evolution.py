"""An evolution strategy on a student's head or adapters, after its training: no gradients and no labels.

Each step draws perturbations ε, compares the fitness of θ + σ·ε with that of θ - σ·ε on the same examples,
and moves θ along the ε weighted by the differences (antithetic sampling). Salimans et al. 2017, "Evolution
Strategies as a Scalable Alternative to Reinforcement Learning", with differences divided by their root mean
square instead of ranked. On a language model: Malladi et al. 2023, "Fine-Tuning Language Models with Just
Forward Passes", whose trick it is to draw a perturbation again instead of keeping it.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from trainers.cache import digest
from trainers.components.staging.refine import Evolve, evolved_names, fitness
from trainers.components.students import Student, StudentConfig
from trainers.gang import rank, world_size
from trainers.seeds import derived_seed
from trainers.training.checkpoint import Checkpoint, Keeper
from trainers.training.deepspeed_engine import device
from trainers.training.inputs import Inputs, SomeInputs
from trainers.training.loop import predict, stepped
from trainers.training.settings import EngineConfig

STATE = "evolution.pt"
USUAL = 0.02  # size of weights where all are zero: that of a new head's


def evolve(
    student: Student,
    config: Evolve,
    kind: StudentConfig,
    inputs: Inputs,
    rungs: Sequence[float],
    *,
    rate: float,
    seed: int,
    engine: EngineConfig,
    swapped: Inputs | None = None,
    ends: bool = False,
    checkpoint: Checkpoint | None = None,
) -> Iterator[float]:
    """Move a trained student, and yield the share of the steps that is done at every rung, as `loop.fit`.

    kind: the student's configuration, which says what of it moves. rate: the share of class 1 that single
    texts are held to. swapped: pairs with their answers exchanged, in the order of `inputs`, if both orders
    are at hand. Raises Diverged if a prediction is not finite.
    """
    if engine.precision == "bf16" and student.layer is None:
        halve_what_stays(student)
    student.module.to(device())
    evolution = Evolution(student, config, kind, inputs, swapped=swapped, rate=rate, seed=seed)
    identity = digest(config.model_dump(), rate, seed, swapped is None)
    keeper = Keeper(checkpoint, evolution, identity) if checkpoint else None
    yield from stepped(student.module, keeper, evolution.steps(), rungs, config.steps, ends=ends)
    student.module.eval()


class Evolution:
    """The state of an evolution strategy: the weights θ that it moves."""

    engine = "evolution"

    def __init__(
        self,
        student: Student,
        config: Evolve,
        kind: StudentConfig,
        inputs: Inputs,
        *,
        swapped: Inputs | None,
        rate: float,
        seed: int,
    ) -> None:
        self._model, self._config, self._rate, self._seed = student.module, config, rate, seed
        self._inputs, self._swapped = inputs, swapped
        self._moved = moved_parameters(student, kind)
        self._centre = [parameter.detach().clone() for parameter in self._moved]
        usual = _size(torch.cat([weights.flatten() for weights in self._centre])) or USUAL
        self._sigmas = [config.sigma * (_size(weights) or usual) for weights in self._centre]

    def steps(self) -> Iterator[Callable[[], torch.Tensor]]:
        """The steps, in order; each returns the mean fitness of its perturbations, a scalar."""
        for step in range(self._config.steps):
            yield partial(self._step, step)

    def _step(self, step: int) -> torch.Tensor:
        count = len(self._inputs.lengths)
        rng = np.random.default_rng([self._seed, step])
        rows = np.sort(rng.choice(count, min(self._config.examples, count), replace=False))
        found = torch.zeros(self._config.pairs, 2, dtype=torch.float64, device=device())
        for pair in range(rank(), self._config.pairs, world_size()):
            for side, sign in enumerate((1.0, -1.0)):
                self._place([(sign, pair)], step)
                found[pair, side] = self._fitness(rows)
        if world_size() > 1:
            dist.all_reduce(found)
        gains = found[:, 0] - found[:, 1]
        usual = float(gains.square().mean().sqrt())
        if usual > 0:
            length = self._config.lr * (1 - step / self._config.steps) / self._config.pairs
            self._place([(length * float(gain) / usual, pair) for pair, gain in enumerate(gains)], step)
            self._centre = [parameter.detach().clone() for parameter in self._moved]
        else:
            self._place([], step)
        return found.mean() / world_size()  # the caller adds up what members report

    @torch.no_grad()
    def _place(self, amounts: Sequence[tuple[float, int]], step: int) -> None:
        """Set the weights to θ + Σ amount·σ·ε over pairs; every ε is drawn again from its seed."""
        for parameter, weights in zip(self._moved, self._centre, strict=True):
            parameter.copy_(weights)
        for amount, pair in amounts:
            seed = derived_seed(self._seed, step, pair)
            generator = torch.Generator(device=device()).manual_seed(seed)
            for parameter, sigma in zip(self._moved, self._sigmas, strict=True):
                drawn = torch.randn(parameter.shape, generator=generator, device=device())
                parameter.add_(drawn, alpha=amount * sigma)

    def _fitness(self, rows: np.ndarray) -> float:
        probs = predict(self._model, SomeInputs(inputs=self._inputs, rows=rows))
        if self._swapped is None:
            return fitness(probs, None, self._rate)
        return fitness(probs, predict(self._model, SomeInputs(inputs=self._swapped, rows=rows)), self._rate)

    def save(self, folder: Path) -> None:
        """Save θ; the members of a gang hold the same."""
        if rank() == 0:
            folder.mkdir(parents=True, exist_ok=True)
            torch.save([weights.cpu() for weights in self._centre], folder / STATE)

    def load(self, folder: Path) -> None:
        """Go on from what `save` wrote."""
        saved = torch.load(folder / STATE, weights_only=True)
        self._centre = [weights.to(device()) for weights in saved]
        self._place([], 0)


def moved_parameters(student: Student, kind: StudentConfig) -> list[torch.nn.Parameter]:
    """The trained weights that an evolution moves, in the order of the module."""
    parts, trained = evolved_names(kind), {id(parameter) for parameter in student.parameters}
    return [
        parameter
        for name, parameter in student.module.named_parameters()
        if id(parameter) in trained and any(part in name for part in parts)
    ]


def halve_what_stays(student: Student) -> None:
    """Convert frozen weights to bfloat16, in which the student was trained."""
    trained = {id(parameter) for parameter in student.parameters}
    for parameter in student.module.parameters():
        if id(parameter) not in trained:
            parameter.data = parameter.data.bfloat16()


def _size(weights: torch.Tensor) -> float:
    """The root mean square."""
    return float(weights.float().square().mean().sqrt())
