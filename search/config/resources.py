"""What a trial may use of the cluster."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from cluster.resources import Needs, open_share
from trainers.component import Frozen
from trainers.lazy import torch


class TrialResources(Frozen):
    """What one trial needs, and how many run at once."""

    cpus: Annotated[float, Field(ge=0.1, le=256, description="CPU cores for each process of a trial.")] = 1
    gpus: Annotated[
        Annotated[float, Field(ge=0, le=64)] | None,
        Field(
            description="GPUs for each process of a trial: a fraction, or a whole number. null: 0 without "
            "GPUs in the cluster, else the fraction of a GPU that the naive method's predicted memory needs."
        ),
    ] = 0
    processes: Annotated[
        int, Field(ge=1, le=64, description="Processes that train a trial together, as a gang. 1: no gang.")
    ] = 1
    host_memory_gb: Annotated[
        float, Field(ge=0, le=10_000, description="Host memory for each process, in GB. 0 reserves none.")
    ] = 0
    memory_gb: Annotated[
        Annotated[float, Field(ge=0.01, le=10_000)] | None,
        Field(
            description="Memory for the models and the training of each process, in GB; methods that need "
            "more are refused. null: the memory of this machine's GPU if trials use GPUs and there is one, "
            "else no limit."
        ),
    ] = None
    concurrent: Annotated[
        Annotated[int, Field(ge=1, le=10_000)] | None,
        Field(description="Most trials at once. null: as many as the cluster holds, or can grow to."),
    ] = None
    elastic: Annotated[
        bool,
        Field(
            description="The cluster starts nodes for waiting trials, although Ray cannot say which, as "
            "under KubeRay. Needs `concurrent` and `gpus`."
        ),
    ] = False

    labels: Annotated[
        tuple[
            Annotated[
                str,
                Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9./_-]{0,252}=[!A-Za-z0-9(][A-Za-z0-9 .,_()-]{0,252}$"),
            ],
            ...,
        ],
        Field(
            max_length=8,
            description="Labels of the nodes that trials may run on, such as ray.io/accelerator-type=H100; a "
            "value may also be !H100 or in(H100,H200). Needs `concurrent` where other nodes have room, too.",
        ),
    ] = ()
    environment: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], ...],
        Field(
            max_length=64,
            description="Variables that processes of trials, baselines and the grader inherit beside the "
            "usual ones (paths, settings of libraries, of Ray and of the GPU). They see no other variable of "
            "the driver, such as a key or a password. HF_TOKEN opens gated models and data.",
        ),
    ] = ("HF_TOKEN",)

    @property
    def placement(self) -> dict[str, Any]:
        """What a trial's placement group asks of nodes beside resources, for each of its processes."""
        selector = dict(label.split("=", 1) for label in self.labels)
        return {"bundle_label_selector": [selector] * self.processes} if selector else {}

    @property
    def needs(self) -> Needs:
        """Those of one process, in the cluster's terms; a whole GPU while that is open."""
        gpus = 1.0 if self.gpus is None else self.gpus
        return Needs(cpus=self.cpus, gpus=gpus, memory=self.host_memory_gb * 1e9)

    def model_post_init(self, _context: object) -> None:
        """Refuse what Ray cannot place: above one, GPUs are whole."""
        if self.gpus is not None and self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(f"gpus must be at most 1 or a whole number, got {self.gpus:g}")
        if self.elastic and self.concurrent is None:
            raise ValueError("elastic needs concurrent, the trials to run at once when the cluster has grown")
        if self.elastic and self.gpus is None:
            raise ValueError("elastic needs gpus: what nodes will be started is not known before")

    @property
    def room_gb(self) -> float | None:
        """Gigabytes for each process of a trial, None where that is not known."""
        if self.memory_gb is not None or self.gpus == 0 or not torch.cuda.is_available():
            return self.memory_gb
        return torch.cuda.get_device_properties(0).total_memory / 1e9 * min(1.0, self.needs.gpus)

    def on(self, gpu_bytes: Sequence[int], trial_bytes: int | None, *, may_come: bool) -> "TrialResources":
        """These with `gpus` decided, where it is open, and with the memory that such a share has.

        gpu_bytes: of the GPUs there are. trial_bytes: what a trial needs of one, margins included, None where
        that is not known. may_come: whether nodes with GPUs may be started.
        """
        if self.gpus is not None:
            return self
        one_each = trial_bytes is None or self.processes > 1  # no two members of a gang share a GPU
        share = open_share(gpu_bytes, None if one_each else trial_bytes, may_come=may_come)
        room = self.memory_gb or (min(gpu_bytes) / 1e9 * share if gpu_bytes else None)
        return self.model_copy(update={"gpus": share, "memory_gb": room})
