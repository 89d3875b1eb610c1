"""The engine of a training, DeepSpeed's or torch alone: start it, take steps, save and load its state.

DeepSpeed partitions, offloads and trains in several processes. A process that trains alone, with nothing to
partition or to offload, needs none of this and gets a `PlainEngine`, which computes the same in less time.
"""

import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from trainers.components.optim import Adamw
from trainers.gang import ensure_group, load_deepspeed, world_size
from trainers.models.head import Head
from trainers.training.compilation import CompiledLayers, repeated_layers, wants_compiled
from trainers.training.packed.reader import reading_packed, wants_packed
from trainers.training.plain_engine import PlainEngine, adamw
from trainers.training.settings import BUCKET, LIVE_PARAMETERS, EngineConfig

STATE_TAG = "state"


def device() -> torch.device:
    """The first GPU that this process sees, or the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def on_device(values: NDArray[Any] | torch.Tensor) -> torch.Tensor:
    """A copy on the device; from pinned memory a GPU fetches it while this process goes on."""
    tensor = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
    if device().type == "cpu" or tensor.is_cuda:
        return tensor
    return tensor.pin_memory().to(device(), non_blocking=True)


def reusable(config: EngineConfig) -> bool:
    """Whether a process may run several trainings: ZeRO-3 leaks about 45 MB per training."""
    return config.zero_stage < 3


def warm_up(config: EngineConfig, processes: int = 1) -> None:
    """Pay for imports and the process group, a second or more, before the first training of a process.

    processes: those that will train together. Everything loaded by now is excluded from later garbage
    collections, which makes closing an engine a hundred times faster. So call it before loading a model,
    whose memory could never be freed otherwise.
    """
    layer = torch.nn.Linear(1, 1).to(device())
    backend = config.runs_on(processes)
    stage = 0 if backend == "torch" else min(_stage(config), 2)
    settings = config.model_copy(update={"backend": backend, "zero_stage": stage, "precision": "fp32"})
    with training_engine(layer, list(layer.parameters()), Adamw(), settings) as engine:
        engine.backward(engine.forward(torch.zeros(1, 1, device=device())).sum(), last=True)
        engine.step(lr=0.0)
    gc.freeze()


def deepspeed_config(config: EngineConfig, optim: Adamw) -> dict[str, Any]:
    """The DeepSpeed settings of a training.

    The learning rate is set before every step, and `trainers.training.session` accumulates a step's gradient
    over as many pieces as memory requires, so the batch size given here has no effect.
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
        # Without ZeRO we clip: DeepSpeed would use the process group for a norm that is known locally.
        "gradient_clipping": optim.clip if zero["stage"] else 0.0,
        "zero_optimization": zero,
        # torch's CPU optimizer needs no compiler and is vectorised too.
        "zero_force_ds_cpu_optimizer": False,
        "bf16": {"enabled": config.precision == "bf16"},
        # In half precision the sum over a batch's pieces would lose the last of them.
        "data_types": {"grad_accum_dtype": "fp32"},
        "steps_per_print": 2**31,
    }


def _stage(config: EngineConfig) -> int:
    """The ZeRO stage in use. In bf16, stages 0 and 1 run as 2, which computes the same in less memory.

    DeepSpeed's stage 0 has no master weights. Its stage 1 sums gradients in bf16, or else in an optimizer of
    its own that needs 50% more memory.
    """
    return max(config.zero_stage, 2) if config.precision == "bf16" else config.zero_stage


@contextlib.contextmanager
def training_engine(
    model: torch.nn.Module, parameters: list[torch.nn.Parameter], optim: Adamw, config: EngineConfig
) -> Iterator["Engine | PlainEngine"]:
    """An engine over `parameters` of `model`, closed when the block ends.

    In precision fp32 the parameters are converted to float32, in bf16 the model to bfloat16. A probe's head
    in a process that trains alone gets a PlainEngine, whatever the settings: there is nothing to split.
    """
    backend = config.runs_on(world_size())
    if isinstance(model, Head) and world_size() == 1:
        backend, config = "torch", config.model_copy(update={"zero_stage": 0, "offload": False})
    if config.precision == "fp32":
        for parameter in parameters:
            parameter.data = parameter.data.float()
    _set_checkpointing(model, bool(config.gradient_checkpointing))
    start = on_torch if backend == "torch" else _on_deepspeed
    engine = start(model, parameters, optim, config)
    packs = wants_packed(config, model)
    layers = CompiledLayers(repeated_layers(model), dynamic=packs) if wants_compiled(config, model) else None
    engine.compiled = layers is not None
    if isinstance(engine, PlainEngine):
        engine.packs = packs
    try:
        with reading_packed(model) if packs else contextlib.nullcontext():
            yield engine
    finally:
        if layers is not None:
            layers.undo()
        engine.close()
        del engine
        _set_checkpointing(model, False)


def on_torch(
    model: torch.nn.Module, parameters: list[torch.nn.Parameter], optim: Adamw, config: EngineConfig
) -> PlainEngine:
    """An engine without DeepSpeed, over parameters in float32; in bf16 the model is converted here."""
    exact = {id(parameter) for parameter in _kept_in_float32(model, parameters, config)}
    if config.precision == "bf16":
        for parameter in model.parameters():
            if id(parameter) not in exact:
                parameter.data = parameter.data.bfloat16()
    return PlainEngine(model, parameters, optim)


def _on_deepspeed(
    model: torch.nn.Module, parameters: list[torch.nn.Parameter], optim: Adamw, config: EngineConfig
) -> "Engine":
    """DeepSpeed's. The process group stays for the next one: building it takes longer than a short trial."""
    ensure_group()
    exact = _kept_in_float32(model, parameters, config)
    values = [parameter.detach().clone() for parameter in exact]

    def optimizer(groups: list[dict[str, Any]]) -> torch.optim.AdamW:
        # DeepSpeed calls this after it has cast the whole model.
        for parameter, value in zip(exact, values, strict=True):
            parameter.data = value.to(parameter.device)
        return adamw(groups, optim)

    built, *_ = load_deepspeed().initialize(
        model=model,
        model_parameters=_groups(parameters, exact),
        optimizer=optimizer,
        config=deepspeed_config(config, optim),
    )
    built.checkpoint_engine.load = _load_weights_only
    return Engine(built, parameters, optim.clip if _stage(config) == 0 else 0.0)


def _kept_in_float32(
    model: torch.nn.Module, parameters: list[torch.nn.Parameter], config: EngineConfig
) -> list[torch.nn.Parameter]:
    """The parameters that stay in float32 while the rest of the model computes in half precision.

    DeepSpeed casts every parameter of a model (its list of what to keep in float32 covers buffers only). Its
    optimizers take one data type per group, and ZeRO-3's a single data type.
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


def _load_weights_only(path: str, map_location: Any = None) -> Any:
    """Read a file of a state. DeepSpeed's own reader would run code that is planted in it."""
    from deepspeed.runtime.fp16.loss_scaler import LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address

    with torch.serialization.safe_globals([LossScaler, ZeroStageEnum, fragment_address]):
        return torch.load(path, map_location=map_location, weights_only=True)


class Engine:
    """The operations of DeepSpeed that a training uses.

    compiled: whether layers are compiled, so that batches are better padded to few shapes.
    """

    name = "deepspeed"

    def __init__(self, engine: Any, parameters: list[torch.nn.Parameter], clip: float) -> None:
        self.compiled = False
        self._engine = engine
        self._parameters = parameters
        self._clip = clip
        if not engine.zero_optimization() and world_size() == 1:
            engine.enable_backward_allreduce = False  # a single process has nothing to reduce

    def forward(self, *arguments: torch.Tensor) -> torch.Tensor:
        """The model's logits, computed through the engine's hooks."""
        logits: torch.Tensor = self._engine(*arguments)
        return logits

    def backward(self, loss: torch.Tensor, *, last: bool) -> None:
        """Add the gradient of a scalar, averaged over members; `last`: a step follows."""
        self._engine.set_gradient_accumulation_boundary(last)
        self._engine.backward(loss)

    def step(self, lr: float) -> bool:
        """Clip the gradient by its norm, update the parameters at this learning rate, clear the gradient.

        Returns whether the update was applied: ZeRO skips a step whose gradient is not finite.
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
        """Remove the engine's hooks and release its memory and the model."""
        self._engine.destroy()
        # DeepSpeed leaves two hooks on the model, which would keep the engine alive.
        self._engine.module_forward_pre_hook.remove()
        self._engine.module_forward_post_hook.remove()
        self._engine.__dict__.clear()
        gc.collect()


def _set_checkpointing(model: torch.nn.Module, wanted: bool) -> None:
    for module in model.modules():
        if not isinstance(module, transformers.PreTrainedModel):
            continue
        if wanted and not module.is_activation_checkpointing:
            # Reentrant checkpointing needs an input that requires a gradient; under LoRA there is none.
            module.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        elif not wanted and module.is_activation_checkpointing:
            module.activation_checkpointing_disable()
