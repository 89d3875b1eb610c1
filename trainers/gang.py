"""The processes that train together: usually one, or a gang whose members each hold a share of the batch.

One process needs no ports. A gang needs an address at which its members meet: rank 0 is the trial, the
others run the same training beside it, in step, until it ends.
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

MEETING_PATIENCE = timedelta(seconds=30)  # members are called when all are up, so whoever is late has died
WORK_PATIENCE = timedelta(minutes=10)  # for the slowest member at any exchange


class GangMember(Frozen):
    """One of the processes that train a trial together."""

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
    """An init_method on a port that is free just now; to be called on the host of rank 0."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return f"tcp://{host}:{probe.getsockname()[1]}"


@contextmanager
def joined(member: GangMember) -> Iterator[None]:
    """Be a member of a gang: trainings within use every member's process.

    All members enter before any goes on. On leaving, the process trains alone again. Raises
    RuntimeError where a member does not come (MEETING_PATIENCE), is lost or is late (WORK_PATIENCE).
    """
    leave_group()
    _join(member)
    try:
        yield
    finally:
        leave_group()


def lead(member: GangMember, trial: Callable[[], Iterator[T]]) -> Iterator[T]:
    """Rank 0's part: what `trial` yields. Closing the iterator ends the training of every member."""
    with joined(member):
        yield from trial()


def follow(member: GangMember, trial: Callable[[], Iterator[object]]) -> None:
    """The part of every other rank: run the same trial, and return when rank 0 ends it."""
    with joined(member):
        try:
            for _ in trial():
                pass
        except GangStopped:
            return


def load_deepspeed() -> ModuleType:
    """DeepSpeed, which takes a second or two to import; so only what trains does.

    It is told which accelerator there is: what it finds by itself it writes to standard output.
    """
    os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")
    import deepspeed

    loaded: ModuleType = deepspeed
    return loaded


def ensure_group() -> None:
    """Make sure of a process group: that of the gang this process is in, or one of its own."""
    if not dist.is_initialized():
        _join(None)


def leave_group() -> None:
    """End this process's membership of any group; the next training makes a new one."""
    if dist.is_initialized():
        load_deepspeed().comm.destroy_process_group()  # torch's own would leave DeepSpeed's record behind


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this process is."""
    return dist.get_rank() if dist.is_initialized() else 0


def go_on(wanted: bool) -> None:
    """Agree on whether training goes on: rank 0 says what is wanted, the others hear it.

    Raises GangStopped on the others where it does not.
    """
    if world_size() == 1:
        return
    word = torch.tensor([int(wanted)], device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.broadcast(word, src=0)
    if rank() > 0 and not word.item():
        raise GangStopped


def _join(member: GangMember | None) -> None:
    deepspeed = load_deepspeed()
    backend = "nccl" if torch.cuda.is_available() else "gloo"
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
