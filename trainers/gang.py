"""Processes that train together: a single one, or a gang whose members each hold a share of the batch.

A single process needs no ports. A gang needs an address at which its members meet: rank 0 is the trial, and
the other members run the same training in step with it until it ends.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import ModuleType
from typing import Annotated, TypeVar

import torch
import torch.distributed as dist
from pydantic import Field
from torch.distributed.rendezvous import rendezvous

from trainers.component import Frozen

T = TypeVar("T")

MEETING_PATIENCE = timedelta(seconds=30)  # all members are already running, so a late member has died
WORK_PATIENCE = timedelta(minutes=10)  # for the slowest member of a collective operation


class GangMember(Frozen):
    """A process of a gang."""

    rank: Annotated[int, Field(ge=0, description="which process this is; 0 is the trial")]
    world_size: Annotated[int, Field(ge=1, le=1024, description="processes in the gang")]
    init_method: Annotated[
        str,
        Field(
            description="where they meet: tcp://host:port, a port that is free on rank 0's host, or "
            "file:///path on a file system that all share"
        ),
    ]


class GangStopped(Exception):
    """Rank 0 has ended the training; the other members stop too."""


def meeting_point(host: str = "127.0.0.1") -> str:
    """An init_method on a port that is free now; call it on the host of rank 0."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return f"tcp://{host}:{probe.getsockname()[1]}"


@contextmanager
def joined(member: GangMember) -> Iterator[None]:
    """Join a gang: trainings inside the block use every member's process.

    The block starts once all members have joined. After it, the process trains alone again. Raises
    RuntimeError if a member does not join (MEETING_PATIENCE), is lost or is late (WORK_PATIENCE).
    """
    leave_group()
    _join(member)
    try:
        yield
    finally:
        leave_group()


def lead(member: GangMember, trial: Callable[[], Iterator[T]]) -> Iterator[T]:
    """Run rank 0: yields what `trial` yields. Closing the iterator ends the training of every member."""
    with joined(member):
        yield from trial()


def follow(member: GangMember, trial: Callable[[], Iterator[object]]) -> None:
    """Run any other rank: the same trial, until rank 0 ends it."""
    with joined(member):
        try:
            for _ in trial():
                pass
        except GangStopped:
            return


def name_accelerator() -> None:
    """Tell DeepSpeed its accelerator: it would print the result of its own search.

    Libraries that save a model import it, too.
    """
    os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")


def load_deepspeed() -> ModuleType:
    """Import DeepSpeed, which takes a second or two, so only trainings do it."""
    name_accelerator()
    import deepspeed

    loaded: ModuleType = deepspeed
    return loaded


def ensure_group() -> None:
    """Make sure that a process group exists: the gang's, or one of this process alone."""
    if not dist.is_initialized():
        _join(None)


def leave_group() -> None:
    """Leave the process group, if any; the next training makes a new one."""
    if dist.is_initialized():
        load_deepspeed().comm.destroy_process_group()  # torch's own would leave DeepSpeed's record


def world_size() -> int:
    """The number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """The rank of this process among them."""
    return dist.get_rank() if dist.is_initialized() else 0


def go_on(wanted: bool) -> None:
    """Broadcast from rank 0 whether training goes on.

    Raises GangStopped on the other ranks if it does not.
    """
    if world_size() == 1:
        return
    decision = torch.tensor([int(wanted)], device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.broadcast(decision, src=0)
    if rank() > 0 and not decision.item():
        raise GangStopped


def group_backend() -> str:
    """What members talk through. NCCL needs a GPU for each of them."""
    return "nccl" if torch.cuda.is_available() else "gloo"


def _join(member: GangMember | None) -> None:
    deepspeed, backend = load_deepspeed(), group_backend()
    os.environ["LOCAL_RANK"] = "0"  # every process sees one GPU: its own
    if member is None:
        alone = dist.HashStore()  # type: ignore[attr-defined]  # torch exports it where distributed is built
        dist.init_process_group(backend, store=alone, rank=0, world_size=1)
    else:
        store, rank, size = next(
            rendezvous(member.init_method, member.rank, member.world_size, timeout=MEETING_PATIENCE)
        )
        store.set(f"{rank} is here", "")
        store.wait([f"{each} is here" for each in range(size)], MEETING_PATIENCE)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=WORK_PATIENCE)
    if backend == "gloo":
        # This op is compiled at first use, for about 40 s; gloo does its work.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(dist_backend=backend, auto_mpi_discovery=False, verbose=False)
