"""Captured passes: a GPU repeats a forward and a backward pass without being told of every kernel again.

A small model on short texts keeps a GPU waiting: launching the kernels of a pass takes longer than running
them. A CUDA graph launches all of them at once (torch.cuda.make_graphed_callables). It is of one shape and of
the weights where they lie, so a training captures its own, one for each number of positions.
"""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

log = logging.getLogger(__name__)

SEEN = 2  # times that a shape is run as it is before it is captured: kernels are chosen and compiled by then


class Graphs:
    """The passes of a module over tensors of some shapes, each captured after a few runs.

    Parameters' gradients lie in buffers of a graph, which its next pass overwrites.
    """

    def __init__(self, another: Callable[[], nn.Module]) -> None:
        """another: a new module with the same parameters, for every graph; its arguments are one tensor."""
        self._another = another
        self._uncaptured = another()
        self._captured: dict[int, nn.Module] = {}
        self._seen: Counter[int] = Counter()
        self._pool: Any = None
        self.active = True

    def __call__(self, argument: torch.Tensor) -> torch.Tensor:
        """What the module returns."""
        size = len(argument)
        if self.active and size not in self._captured and torch.is_grad_enabled():
            if self._seen[size] >= SEEN:
                self._capture(argument)
            self._seen[size] += 1
        module = self._captured.get(size, self._uncaptured)
        found: torch.Tensor = module(argument)
        return found

    def _capture(self, argument: torch.Tensor) -> None:
        """Capture the passes over tensors of this size; where that fails, capture nothing any more."""
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        state = torch.cuda.get_rng_state()  # dropout is that of a pass that was captured before
        try:
            graphed: Any = torch.cuda.make_graphed_callables(
                self._another(),
                (argument.clone(),),
                num_warmup_iters=1,
                allow_unused_input=True,
                pool=self._pool,
            )
        except RuntimeError as error:  # out of memory too: uncaptured passes need less
            self.active = False
            log.warning("passes run uncaptured: %s", str(error).strip().splitlines()[0])
        else:
            self._captured[len(argument)] = graphed
        finally:
            torch.cuda.set_rng_state(state)
