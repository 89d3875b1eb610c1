"""An engine for a probe, whose arithmetic costs less than DeepSpeed's overhead."""

from pathlib import Path
from typing import Any

import torch

from trainers.components.optim import Adamw

STATE = "state.pt"


class PlainEngine:
    """`trainers.training.deepspeed_engine.Engine` for one process, in float32 and without DeepSpeed."""

    compiled = False

    def __init__(self, model: torch.nn.Module, parameters: list[torch.nn.Parameter], optim: Adamw) -> None:
        self._model = model
        self._parameters = parameters
        self._clip = optim.clip
        self._optimizer = adamw(parameters, optim)

    def forward(self, *arguments: torch.Tensor) -> torch.Tensor:
        """The model's logits."""
        logits: torch.Tensor = self._model(*arguments)
        return logits

    def backward(self, loss: torch.Tensor, *, last: bool) -> None:
        """Add the gradient of a scalar."""
        loss.backward()  # type: ignore[no-untyped-call]

    def step(self, lr: float) -> bool:
        """Clip the gradient by its norm, update the parameters at this learning rate, clear the gradient."""
        if self._clip:
            torch.nn.utils.clip_grad_norm_(self._parameters, self._clip, foreach=True)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self._optimizer.zero_grad()
        return True

    def save(self, folder: Path, about: dict[str, Any]) -> None:
        """Write parameters and the optimizer's state."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {"model": self._model.state_dict(), "optimizer": self._optimizer.state_dict(), "about": about}
        torch.save(state, folder / STATE)

    def load(self, folder: Path) -> dict[str, Any]:
        """Read what `save` wrote; returns its `about`."""
        state = torch.load(folder / STATE, weights_only=True)
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        about: dict[str, Any] = state["about"]
        return about


def adamw(parameters: Any, optim: Adamw) -> torch.optim.AdamW:
    """The optimizer of every training, over parameters or groups of them."""
    return torch.optim.AdamW(
        parameters,
        lr=optim.lr,
        betas=(optim.beta1, optim.beta2),
        weight_decay=optim.weight_decay,
        fused=True,  # a single call for all parameters takes a tenth of the time on a small model
    )
