"""DeepSpeed: start an engine for one training, take a step, save and load its state, tear it down."""

import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from trainers.components.optim import Adamw
from trainers.gang import ensure_group, load_deepspeed, world_size
from trainers.models.head import Head
from trainers.training.compilation import CompiledLayers, repeated_layers, wants_compiled
from trainers.training.plain_engine import PlainEngine, adamw
from trainers.training.settings import BUCKET, LIVE_PARAMETERS, EngineConfig

STATE_TAG = "state"


def device() -> torch.device:
    """The first GPU this process sees, or the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def reusable(config: EngineConfig) -> bool:
    """Whether a process may run one training after another: ZeRO-3 leaves about 45 MB behind each time."""
    return config.zero_stage < 3


def warm_up(config: EngineConfig) -> None:
    """Take the second or more that the first training of a process pays for imports and the process group.

    What is loaded by now is kept out of every later garbage collection, which makes closing an engine a
    hundred times faster; so call it before any model is loaded, or that model's memory may never be freed.
    """
    layer = torch.nn.Linear(1, 1).to(device())
    settings = config.model_copy(update={"zero_stage": min(_stage(config), 2), "precision": "fp32"})
    with training_engine(layer, list(layer.parameters()), Adamw(), settings) as engine:
        engine.backward(engine.forward(torch.zeros(1, 1, device=device())).sum(), last=True)
        engine.step(lr=0.0)
    gc.freeze()


def deepspeed_config(config: EngineConfig, optim: Adamw) -> dict[str, Any]:
    """The DeepSpeed settings of one training.

    The learning rate is set before every step, and a step's gradient is accumulated by hand, in as many
    pieces as the memory wants (`trainers.training.session`); so the batch size stated here decides nothing.
    """
    zero: dict[str, Any] = {
        "stage": _stage(config),
        "reduce_bucket_size": BUCKET,
        "allgather_bucket_size": BUCKET,
        "stage3_prefetch_bucket_size": BUCKET,
        "stage3_max_live_parameters": LIVE_PARAMETERS,
        "stage3_max_reuse_distance": LIVE_PARAMETERS,
    }
    if config.offload:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    if config.offload and config.zero_stage == 3:
        zero["offload_param"] = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        # Without ZeRO we clip: DeepSpeed would go through the process group for a norm that is known here.
        "gradient_clipping": optim.clip if zero["stage"] else 0.0,
        "zero_optimization": zero,
        # The CPU optimizer of torch needs no compiler, and is vectorised too.
        "zero_force_ds_cpu_optimizer": False,
        "bf16": {"enabled": config.precision == "bf16"},
        # The pieces of a batch would add up in half precision, which loses the last of them.
        "data_types": {"grad_accum_dtype": "fp32"},
        "steps_per_print": 2**31,
    }


def _stage(config: EngineConfig) -> int:
    """In bf16, stages 0 and 1 run as 2, which computes the same in less memory.

    DeepSpeed's stage 0 has no master weights, and its stage 1 adds gradients up in bf16, or else in an
    optimizer of its own that needs half as much memory again.
    """
    return max(config.zero_stage, 2) if config.precision == "bf16" else config.zero_stage


@contextlib.contextmanager
def training_engine(
    model: torch.nn.Module, parameters: list[torch.nn.Parameter], optim: Adamw, config: EngineConfig
) -> Iterator["Engine | PlainEngine"]:
    """A DeepSpeed engine over `parameters` of `model`, destroyed on leaving.

    In precision fp32 the parameters become float32, whatever they were. The process group stays for the
    next engine of this process: building it costs more than a short trial. A head alone, a probe's, needs no
    such engine in a process of its own, whatever the settings: there is nothing to split or to cast.
    """
    if isinstance(model, Head) and world_size() == 1:
        yield PlainEngine(model, parameters, optim)
        return
    ensure_group()
    if config.precision == "fp32":
        for parameter in parameters:
            parameter.data = parameter.data.float()
    _set_checkpointing(model, config.gradient_checkpointing)
    exact = _exact(model, parameters, config)
    kept = [parameter.detach().clone() for parameter in exact]

    def optimizer(groups: list[dict[str, Any]]) -> torch.optim.AdamW:
        # DeepSpeed has cast all of the model by now, and asks for its optimizer.
        for parameter, value in zip(exact, kept, strict=True):
            parameter.data = value.to(parameter.device)
        return adamw(groups, optim)

    built, *_ = load_deepspeed().initialize(
        model=model,
        model_parameters=_groups(parameters, exact),
        optimizer=optimizer,
        config=deepspeed_config(config, optim),
    )
    layers = CompiledLayers(repeated_layers(model)) if wants_compiled(config, model) else None
    engine = Engine(
        built, parameters, optim.clip if _stage(config) == 0 else 0.0, compiled=layers is not None
    )
    try:
        yield engine
    finally:
        if layers is not None:
            layers.undo()
        engine.close()
        del engine, built
        _set_checkpointing(model, False)
        gc.collect()


def _exact(
    model: torch.nn.Module, parameters: list[torch.nn.Parameter], config: EngineConfig
) -> list[torch.nn.Parameter]:
    """The parameters that stay in float32 while the rest of the model computes in half precision.

    DeepSpeed casts every parameter of a model (its own list of what to keep in float32 is of buffers alone);
    its optimizers take one data type a group, and that of ZeRO-3 one altogether.
    """
    if config.precision == "fp32" or config.zero_stage == 3:
        return []
    heads = [module for module in model.modules() if isinstance(module, Head) and module.is_classifier]
    own = {id(parameter) for head in heads for parameter in head.parameters()}
    return [parameter for parameter in parameters if id(parameter) in own]


def _groups(
    parameters: list[torch.nn.Parameter], exact: list[torch.nn.Parameter]
) -> list[dict[str, list[torch.nn.Parameter]]]:
    apart = {id(parameter) for parameter in exact}
    groups = [[p for p in parameters if id(p) not in apart], exact]
    return [{"params": group} for group in groups if group]


class Engine:
    """What a training asks of DeepSpeed.

    compiled: whether layers are compiled, so that batches are better padded to few shapes.
    """

    def __init__(
        self, engine: Any, parameters: list[torch.nn.Parameter], clip: float, *, compiled: bool
    ) -> None:
        self.compiled = compiled
        self._engine = engine
        self._parameters = parameters
        self._clip = clip
        if not engine.zero_optimization() and world_size() == 1:
            engine.enable_backward_allreduce = False  # a group of one has nothing to reduce

    def forward(self, *arguments: torch.Tensor) -> torch.Tensor:
        """What the model says, through the engine's hooks."""
        logits: torch.Tensor = self._engine(*arguments)
        return logits

    def backward(self, loss: torch.Tensor, *, last: bool) -> None:
        """Add the gradient of a scalar; `last`: a step follows. Members' gradients are averaged."""
        self._engine.set_gradient_accumulation_boundary(last)
        self._engine.backward(loss)

    def step(self, lr: float) -> bool:
        """Clip the gradient by its norm, update the parameters at this learning rate, clear the gradient.

        Returns whether there was an update: ZeRO leaves out a step whose gradient is not finite.
        """
        if self._clip:
            torch.nn.utils.clip_grad_norm_(self._parameters, self._clip, foreach=True)
        for group in self._engine.optimizer.param_groups:
            group["lr"] = lr
        self._engine.step()
        applied: bool = self._engine.was_step_applied()
        return applied

    def save(self, folder: Path, about: dict[str, Any]) -> None:
        """Write trainable parameters and the optimizer's state; members share the folder."""
        self._engine.save_checkpoint(
            str(folder), tag=STATE_TAG, client_state={"about": about}, exclude_frozen_parameters=True
        )

    def load(self, folder: Path) -> dict[str, Any]:
        """Read what `save` wrote; returns its `about`."""
        _, state = self._engine.load_checkpoint(str(folder), tag=STATE_TAG, load_module_strict=False)
        about: dict[str, Any] = state["about"]
        return about

    def close(self) -> None:
        """Remove the engine's hooks and let go of its memory, and of the model."""
        self._engine.destroy()
        # DeepSpeed leaves two hooks on the model, and through them the model would keep the engine alive.
        self._engine.module_forward_pre_hook.remove()
        self._engine.module_forward_post_hook.remove()
        self._engine.__dict__.clear()


def _set_checkpointing(model: torch.nn.Module, wanted: bool) -> None:
    for module in model.modules():
        if not isinstance(module, PreTrainedModel):
            continue
        if wanted and not module.is_activation_checkpointing:
            # Reentrant checkpointing needs an input that asks for a gradient; under LoRA there is none.
            module.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        elif not wanted and module.is_activation_checkpointing:
            module.activation_checkpointing_disable()  # type: ignore[no-untyped-call]
