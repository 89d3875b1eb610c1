"""The settings of an engine: what it partitions, offloads and holds in memory."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainers.component import Frozen

BUCKET = 2**25  # elements of a communication buffer; DeepSpeed's own default takes a gigabyte of memory
LIVE_PARAMETERS = 2**28  # of ZeRO-3: how many are whole at a time


class EngineConfig(Frozen):
    """How trainings run. It affects memory and speed; the gradient is always that of the whole batch."""

    zero_stage: Annotated[
        int,
        Field(
            ge=0,
            le=3,
            description="what the processes of a trial split: 0 nothing, 1 the optimizer's state, "
            "2 gradients too, 3 weights too",
        ),
    ] = 0
    precision: Annotated[
        Literal["fp32", "bf16"],
        Field(
            description="bf16: forward and backward in bfloat16, with float32 master weights and "
            "gradient sums; DeepSpeed runs stages 0 and 1 as 2"
        ),
    ] = "fp32"
    offload: Annotated[
        bool,
        Field(
            description="keep the optimizer's state, and at stage 3 the weights, in CPU memory; "
            "needs stage 1, 2 or 3"
        ),
    ] = False
    micro_batch: Annotated[
        Annotated[int, Field(ge=1, le=1024)] | None,
        Field(
            description="examples in one forward pass of a process; null: the fastest that fits the memory "
            "by prediction, and all of its share of the batch where the memory or the model's shape is not "
            "known, as on a CPU without trial.memory_gb"
        ),
    ] = None
    gradient_checkpointing: Annotated[
        bool | None,
        Field(
            description="compute activations twice instead of keeping them; null: only where that is faster "
            "than the smaller micro-batch that would fit without"
        ),
    ] = None

    backend: Annotated[
        Literal["auto", "deepspeed", "torch"],
        Field(
            description="what takes a training's steps: DeepSpeed, or torch alone, which computes the same "
            "in less time; auto: torch for a process that trains alone at stage 0, else DeepSpeed"
        ),
    ] = "auto"

    compile: Annotated[
        Literal["auto", "on", "off"],
        Field(
            description="run a body's layers as code that torch compiles for every padded length; auto: on a "
            "GPU, for models of 32 million parameters and more and trainings of at least 48 steps for each "
            "padded length; never at stage 3"
        ),
    ] = "auto"

    packing: Annotated[
        Literal["on", "off"],
        Field(
            description="on: lay the texts of a batch end to end, without padding, where torch alone "
            "trains a decoder of the families llama, qwen2 and qwen3; on a GPU in bf16, on a CPU slowly; "
            "has not run on a GPU yet"
        ),
    ] = "off"

    cuda_graphs: Annotated[
        Literal["on", "off"],
        Field(
            description="on: capture packed passes of so few tokens that a GPU would wait for their kernels "
            "to be launched; needs packing, and a GPU; has not run on one yet"
        ),
    ] = "off"

    @model_validator(mode="after")
    def _offload_needs_a_stage(self) -> Self:
        if self.offload and self.zero_stage == 0:
            raise ValueError("offload needs zero_stage 1, 2 or 3, got 0")
        return self

    @model_validator(mode="after")
    def _torch_splits_nothing(self) -> Self:
        if self.backend == "torch" and self.zero_stage > 0:
            raise ValueError(
                f"backend torch needs zero_stage 0, got {self.zero_stage}: set backend to auto or deepspeed"
            )
        return self

    def runs_on(self, processes: int) -> Literal["deepspeed", "torch"]:
        """What trains in so many processes. Raises ValueError where backend is torch and they are several."""
        if self.backend == "torch" and processes > 1:
            raise ValueError(
                f"engine.backend torch trains in one process, got {processes}: set it to auto or deepspeed"
            )
        if self.backend == "auto":
            return "torch" if processes == 1 and self.zero_stage == 0 else "deepspeed"
        return self.backend

    @property
    def is_decided(self) -> bool:
        """Whether nothing is left to choose by memory."""
        return self.micro_batch is not None and self.gradient_checkpointing is not None

    def at_most(self, micro_batch: int | None) -> "EngineConfig":
        """These settings with a micro-batch of at most `micro_batch`; None sets no limit."""
        if micro_batch is None or (self.micro_batch or micro_batch + 1) <= micro_batch:
            return self
        return self.model_copy(update={"micro_batch": micro_batch})
