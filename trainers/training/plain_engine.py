"""An engine for a process that trains alone: torch's optimizer, and nothing around it.

It computes what DeepSpeed computes for one process (`trainers.training.deepspeed_engine`), without its hooks
and flat buffers, and never waits for the device. A parameter in half precision has a master in float32, which
holds the sum of its gradients and takes the steps, and is rounded to the parameter after each (Micikevicius
et al. 2018, "Mixed Precision Training").
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from trainers.components.optim import Adamw
from trainers.training.settings import BUCKET

STATE = "state.pt"


class PlainEngine:
    """`trainers.training.deepspeed_engine.Engine` for one process, without DeepSpeed.

    compiled: whether layers are compiled, so that batches are better padded to few shapes. packs: whether
    batches pass without padding. overwritten: whether a gradient lies where the next pass writes its own.
    """

    name = "torch"

    def __init__(self, model: torch.nn.Module, parameters: list[torch.nn.Parameter], optim: Adamw) -> None:
        """parameters: of the model, in float32 or half precision."""
        self.compiled = self.packs = self.overwritten = False
        self._model = model
        self._clip = optim.clip
        self._trained = parameters
        self._rounded: list[torch.Tensor] = [
            parameter for parameter in parameters if parameter.dtype != torch.float32
        ]
        self._exact = [parameter for parameter in parameters if parameter.dtype == torch.float32]
        self._masters = [parameter.detach().float().requires_grad_() for parameter in self._rounded]
        master_of = dict(zip(map(id, self._rounded), self._masters, strict=True))
        self._stepped = [master_of.get(id(parameter), parameter) for parameter in parameters]
        self._optimizer = adamw(self._stepped, optim)
        # All gradients at once are the fastest, but many of them need the memory that their sum needs too.
        self._at_once = sum(parameter.numel() for parameter in self._rounded) <= BUCKET
        self._hooks = [] if self._at_once else self._take_each()

    def _take_each(self) -> list[Any]:
        """Take every gradient into its master as soon as it is whole."""
        return [
            parameter.register_post_accumulate_grad_hook(partial(_take_one, master))  # type: ignore[no-untyped-call]  # torch has no types here
            for parameter, master in zip(self._rounded, self._masters, strict=True)
        ]

    def forward(self, *arguments: torch.Tensor) -> torch.Tensor:
        """The model's logits."""
        logits: torch.Tensor = self._model(*arguments)
        return logits

    def backward(self, loss: torch.Tensor, *, last: bool) -> None:
        """Add the gradient of a scalar."""
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
        if self._rounded and self._at_once:
            _take(self._masters, self._rounded)
        if self.overwritten and not last:
            for parameter in self._exact:
                parameter.grad = None if parameter.grad is None else parameter.grad.clone()

    def step(self, lr: float) -> bool:
        """Clip the gradient by its norm, update the parameters at this learning rate, clear the gradient.

        Returns True: whether the gradient is finite shows in the next loss, and nobody waits for it here.
        """
        if self._clip:
            torch.nn.utils.clip_grad_norm_(self._stepped, self._clip, foreach=True)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._round()
        return True

    def _round(self) -> None:
        if self._rounded:
            with torch.no_grad():
                torch._foreach_copy_(self._rounded, self._masters)

    def save(self, folder: Path, about: dict[str, Any]) -> None:
        """Write trained parameters, in float32, and the optimizer's state."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: weight.detach() for name, weight in self._by_name().items()}
        state = {"weights": weights, "optimizer": self._optimizer.state_dict(), "about": about}
        torch.save(state, folder / STATE)

    def load(self, folder: Path) -> dict[str, Any]:
        """Read what `save` wrote; returns its `about`."""
        state = torch.load(folder / STATE, map_location="cpu", weights_only=True)
        with torch.no_grad():
            for name, weight in self._by_name().items():
                weight.copy_(state["weights"][name])
        self._optimizer.load_state_dict(state["optimizer"])
        self._round()
        about: dict[str, Any] = state["about"]
        return about

    def _by_name(self) -> dict[str, torch.Tensor]:
        names = {id(parameter): name for name, parameter in self._model.named_parameters()}
        return {
            names[id(parameter)]: stepped
            for parameter, stepped in zip(self._trained, self._stepped, strict=True)
        }

    def close(self) -> None:
        """Remove the hooks and drop gradients, the optimizer's state and the model."""
        for hook in self._hooks:
            hook.remove()
        for parameter in self._trained:
            parameter.grad = None
        self.__dict__.clear()


def _take_one(master: torch.Tensor, parameter: torch.Tensor) -> None:
    _take([master], [parameter])


@torch.no_grad()
def _take(masters: Sequence[torch.Tensor], parameters: Sequence[torch.Tensor]) -> None:
    """Add the gradients of parameters to those of their masters, in float32, and clear them."""
    reached = [
        (master, parameter.grad)
        for master, parameter in zip(masters, parameters, strict=True)
        if parameter.grad is not None
    ]
    gradients = [torch.empty_like(master) for master, _ in reached]
    torch._foreach_copy_(gradients, [rounded for _, rounded in reached])
    for parameter in parameters:
        parameter.grad = None
    sums, further = [], []
    for (master, _), gradient in zip(reached, gradients, strict=True):
        if master.grad is None:
            master.grad = gradient
        else:
            sums.append(master.grad)
            further.append(gradient)
    if sums:
        torch._foreach_add_(sums, further)


def adamw(parameters: Any, optim: Adamw) -> torch.optim.AdamW:
    """The optimizer of every training, over parameters or groups of them."""
    return torch.optim.AdamW(
        parameters,
        lr=optim.lr,
        betas=(optim.beta1, optim.beta2),
        weight_decay=optim.weight_decay,
        fused=True,  # a single call for all parameters takes a tenth of the time on a small model
    )
