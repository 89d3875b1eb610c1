"""What a trial may use of the cluster."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from cluster.resources import Needs, open_share
from trainers.component import Frozen
from trainers.lazy import torch


class TrialResources(Frozen):
    """What one trial needs, and how many run at once (None: as many as the cluster holds, or grows to).

    cpus, gpus, host_memory_gb: of each of its processes. gpus None: none where the cluster has none, else the
    share of one that leaves room for as many trials as the memory predicted for the naive method allows, see
    `on`. processes: more than one train a trial together, as
    a gang. memory_gb: what each process has for models and training; None: that of a GPU of this machine,
    where trials use GPUs and there is one, and no limit otherwise.
    elastic: the cluster starts nodes for waiting trials though Ray cannot tell which, as under KubeRay.
    """

    cpus: Annotated[float, Field(ge=0.1, le=256)] = 1
    gpus: Annotated[float, Field(ge=0, le=64)] | None = 0
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    host_memory_gb: Annotated[float, Field(ge=0, le=10_000)] = 0
    memory_gb: Annotated[float, Field(ge=0.01, le=10_000)] | None = None
    concurrent: Annotated[int, Field(ge=1, le=10_000)] | None = None
    elastic: bool = False

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
