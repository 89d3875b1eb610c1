"""Compiled layers: a body's repeated layers run as code that torch.compile makes, while a training lasts.

Only the repeated layers are compiled, each in place. All of them have the same code, so one compilation
serves the whole body. It serves later trainings of the process too: guards look at shapes and types, not at
the weights. torch keeps what it compiled on disk as well, for other processes (`share_compiled_code`).

Every shape is compiled for itself, because code for one shape is the fastest. So batches are padded to a few
lengths and to one number of rows (`trainers.training.inputs`).
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from trainers.data.tokens import bucket
from trainers.training.settings import EngineConfig

log = logging.getLogger(__name__)

CACHE_DIR = "TORCHINDUCTOR_CACHE_DIR"
VARIANTS = 512  # compiled versions of a layer: lengths × rows × gradients on or off × ranks of adapters
LEAST_PARAMETERS = 2**25  # of all layers: smaller models end their trainings before compiled code has paid
# For each padded length. Measured on an H200 with an empty cache: compiling for a length takes as long as
# compiled code saves in 48 steps of 0.6B on short texts, in 17 of 4B at 1,024 tokens.
LEAST_STEPS = 48


def share_compiled_code(cache: Path) -> None:
    """Keep what torch compiles in this folder's `compiled`, unless the environment names another place."""
    os.environ.setdefault(CACHE_DIR, str(cache.absolute() / "compiled"))


def repeated_layers(model: nn.Module) -> list[nn.Module]:
    """The layers of a body: of all outermost lists of modules of one class, the one with most parameters."""
    return max(map(list, _uniform_lists(model)), key=_parameters, default=[])


def _uniform_lists(module: nn.Module) -> Iterator[nn.ModuleList]:
    for child in module.children():
        if isinstance(child, nn.ModuleList) and len({type(layer) for layer in child}) == 1:
            yield child
        else:
            yield from _uniform_lists(child)


def layer_weights(model: nn.Module) -> int:
    """Parameters of all repeated layers of a model; 1 where it has none."""
    return max(1, _parameters(repeated_layers(model)))


def _parameters(layers: list[nn.Module]) -> int:
    return sum(parameter.numel() for layer in layers for parameter in layer.parameters())


def wants_compiled(config: EngineConfig, model: nn.Module) -> bool:
    """Whether to compile the model's layers.

    `auto` compiles large models on a GPU; `trainers.training.loop` makes it `off` for trainings that are not
    `long_enough`. ZeRO-3 gathers the weights of every module just before its use,
    which compiled code cannot do: there layers are never compiled.
    """
    layers = repeated_layers(model)
    if config.compile == "off" or config.zero_stage == 3 or not layers:
        return False
    if config.compile == "on":
        return True
    on_gpu = all(parameter.is_cuda for parameter in layers[0].parameters())
    return on_gpu and _parameters(layers) >= LEAST_PARAMETERS


def padded_lengths(lengths: NDArray[np.int64], batch_size: int) -> int:
    """To how many lengths the batches of a training are padded, if layers are compiled for each.

    lengths: of its examples.
    """
    longest_of_batches = np.sort(lengths)[::-batch_size]
    return len({bucket(int(length)) for length in longest_of_batches})


def long_enough(shapes: int, steps: int) -> bool:
    """Whether a training has enough steps for compiled code to save more time than compiling takes.

    shapes: for how many layers are compiled; packed passes share one code.
    """
    return steps >= LEAST_STEPS * shapes


class CompiledLayers:
    """The layers of a model, compiled until `undo`.

    active: whether they run compiled; False after a failure, when all of them run as they did before.
    """

    def __init__(self, layers: list[nn.Module], *, dynamic: bool = False) -> None:
        """dynamic: one code for every number of positions, as packed passes have them."""
        self.active = True
        self._layers = layers
        self._scales: list[tuple[dict[str, Any], str, float]] = []
        _settings()
        for layer in layers:
            self._hold_scales(layer)
            layer.compile(dynamic=dynamic, options={"fallback_random": True})
            layer._compiled_call_impl = _Call(layer, self)

    def fail(self, error: Exception) -> None:
        """Run all layers uncompiled from here on, and say why."""
        self.active = False
        log.warning("layers run uncompiled: %s: %s", type(error).__name__, str(error).strip().splitlines()[0])

    def undo(self) -> None:
        """Leave the layers as they were found."""
        for layer in self._layers:
            layer._compiled_call_impl = None
        for scales, name, scale in self._scales:
            scales[name] = scale

    def _hold_scales(self, layer: nn.Module) -> None:
        """Hold the scales of adapters as tensors: a number would be a constant of the compiled code.

        Then trials whose alpha differs share their code.
        """
        for module in layer.modules():
            scales = getattr(module, "scaling", None)
            if isinstance(scales, dict):
                where = next(module.parameters()).device
                self._scales += [(scales, name, scale) for name, scale in scales.items()]
                scales.update({name: torch.tensor(scale, device=where) for name, scale in scales.items()})


class _Call:
    """Stands in for a layer's compiled call: falls back where compilation fails, and for evaluation.

    Evaluation runs uncompiled: its batches come in many more shapes than those of a training.
    """

    def __init__(self, layer: nn.Module, all_layers: CompiledLayers) -> None:
        self._layer, self._all = layer, all_layers
        self._compiled: Any = layer._compiled_call_impl
        self._uncompiled: Any = layer._call_impl
        self._trained = any(parameter.requires_grad for parameter in layer.parameters())

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if not self._all.active or not self._layer.training:
            return self._uncompiled(*arguments, **named)
        try:
            return self._compiled(*self._alike(arguments), **named)
        except torch._dynamo.exc.TorchDynamoException as error:
            self._all.fail(error)
        return self._uncompiled(*arguments, **named)

    def _alike(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Make the first layer's input want a gradient as every other's does, which saves it its own code."""
        hidden = arguments[0] if arguments else None
        if not self._trained or not torch.is_grad_enabled() or not isinstance(hidden, torch.Tensor):
            return arguments
        if hidden.requires_grad or not hidden.is_floating_point():
            return arguments
        return (hidden.detach().requires_grad_(True), *arguments[1:])


def _settings() -> None:
    """The process's settings of torch.compile; importing them takes a second, so only what compiles does."""
    import torch._dynamo.config
    import torch._functorch.config

    torch._dynamo.config.recompile_limit = VARIANTS
    torch._dynamo.config.accumulated_recompile_limit = VARIANTS * 4
    # A failure to compile the backward pass shows in the forward pass too, where it can be caught.
    torch._functorch.config.force_non_lazy_backward_lowering = True
