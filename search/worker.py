"""A trial in its worker processes: usually one, or a gang of them inside the trial's own placement group."""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
import torch.distributed as dist
from ray import tune
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from search.assignment import Assignment
from search.bits import pack
from search.config import RunConfig
from search.faults import DISK_FULL
from search.sharing import SharedArrays
from trainers.checkpoint import Checkpoint
from trainers.engine import warm_up
from trainers.gang import GangMember, follow, lead, meeting_point
from trainers.models import ModelPool
from trainers.student import Materials, Report, Workbench
from trainers.training import OutOfMemory

log = logging.getLogger(__name__)

Train = Callable[[Assignment], Iterator[Report]]

PEER_PATIENCE_S = 30.0  # for a peer to say how its part of a trial ended
DEVICE = re.compile(r"(CUDA|cuDNN|NCCL|HIP)\b|No (CUDA|HIP) GPUs")  # how PyTorch tells of a broken one


class UnfitWorkerError(RuntimeError):
    """A process, its node or a connection is no good: a trial that failed there may do well elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What every worker gets once: the materials and the settings of a trial. No ground truth is in it.

    checkpoints: the folder for states at rungs, one folder a trial; best on a file system that all share.
    """

    config: RunConfig
    materials: Materials
    shared: SharedArrays
    checkpoints: Path


class _Member:
    """One process's means to train: what all its trials share."""

    def __init__(self, work: Work) -> None:
        torch.set_num_threads(max(1, int(work.config.trial.cpus)))
        warm_up(work.config.engine)
        pool = ModelPool(work.config.strong.model, cache=work.config.cache_dir)
        self._bench = Workbench(work.materials, pool, work.config.engine, work.shared)
        self._checkpoints = work.checkpoints

    def train(self, assignment: Assignment) -> Iterator[Report]:
        """The reports of a trial."""
        return self._bench.train(
            assignment.method,
            seed=assignment.seed,
            split="test" if assignment.purpose == "confirm" else "search",
            rungs=assignment.rungs,
            checkpoint=Checkpoint(folder=self._checkpoints / assignment.trial),
            micro_batch=assignment.micro_batch,
        )


class _Peer:
    """The process of a gang's other member, an actor in a bundle of the trial's placement group."""

    def __init__(self, work: Work) -> None:
        self._member = _Member(work)

    def ready(self) -> None:
        """Answers once the process is up."""

    def follow(self, assignment: Assignment, member: GangMember) -> None:
        """Train along until rank 0 ends it."""
        follow(member, lambda: self._member.train(assignment))


class _Gang:
    """The peers of a trial's first process. They are its actors, and die with it.

    parts: references to what each of them returns when the trial has ended.
    """

    def __init__(self, work: Work) -> None:
        self._size = work.config.trial.processes
        self._work = ray.put(work)
        needs = work.config.trial.needs
        self._actor = ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus)(_Peer)
        self._peers: dict[int, Any] = {}
        self.parts: list[Any] = []

    def lead(self, assignment: Assignment, train: Train) -> Iterator[Report]:
        """The reports of a trial that all members train together."""
        self._summon()
        meet = meeting_point(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]  # Ray has no types
        members = [GangMember(rank=r, world_size=self._size, init_method=meet) for r in range(self._size)]
        self.parts = [
            peer.follow.remote(assignment, member)
            for peer, member in zip(self._peers.values(), members[1:], strict=True)
        ]
        return lead(members[0], lambda: train(assignment))

    def _summon(self) -> None:
        """See that every peer is up: whoever waited for a dead one to join would wait for long."""
        for bundle in range(1, self._size):
            if bundle not in self._peers:
                self._peers[bundle] = self._peer(bundle)
        for bundle, peer in self._peers.items():
            try:
                ray.get(peer.ready.remote())
            except ray.exceptions.RayActorError:
                self._peers[bundle] = self._peer(bundle)
                ray.get(self._peers[bundle].ready.remote())

    def _peer(self, bundle: int) -> Any:
        group = ray.util.get_current_placement_group()
        assert group is not None, "Tune places every trial in a group"
        place = PlacementGroupSchedulingStrategy(placement_group=group, placement_group_bundle_index=bundle)
        return self._actor.options(scheduling_strategy=place).remote(self._work)

    def failure(self) -> Exception | None:
        """What a peer failed of, if one did.

        Raises ray.exceptions.RayActorError where its process died, TimeoutError where it does not answer.
        """
        done, silent = ray.wait(self.parts, num_returns=len(self.parts), timeout=PEER_PATIENCE_S)
        if silent:
            raise TimeoutError(f"{len(silent)} of {self._size} processes of the trial do not answer")
        for part in done:
            try:
                ray.get(part)
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                return cause if isinstance(cause, Exception) else error
        return None

    def end(self) -> None:
        """See that every peer is ready for another trial; they are replaced where one is not."""
        _, busy = ray.wait(self.parts, num_returns=len(self.parts), timeout=PEER_PATIENCE_S)
        self.parts = []
        if busy:
            for peer in self._peers.values():
                ray.kill(peer)
            self._peers = {}


@contextmanager
def watched(parts: Sequence[Any], patience_s: float = PEER_PATIENCE_S) -> Iterator[None]:
    """Do a step that needs these parts to go on: a process that waits in vain for one of them ends itself.

    A peer that dies while a process group is made leaves the others waiting for many minutes, in code that
    nothing interrupts. parts: what the peers' calls return, as Ray's references.
    """
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            ended, _ = ray.wait(list(parts), num_returns=1, timeout=1.0)
            if ended and not over.wait(patience_s):
                log.error("a process of the trial has ended, and this one still waits for it: it ends too")
                os._exit(1)

    threading.Thread(target=watch, name="peers", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def blames_worker(error: Exception) -> bool:
    """Whether an error says something of the process or its node, and nothing of the method that was trained.

    After an error of a device every later trial of the process would fail as well. A full disk is neither's
    fault, and too little memory the method's.
    """
    if isinstance(error, OSError):
        return error.errno not in DISK_FULL
    if isinstance(error, torch.OutOfMemoryError):
        return False
    if isinstance(error, dist.DistError | ImportError | torch.AcceleratorError):
        return True
    return isinstance(error, RuntimeError) and DEVICE.match(str(error)) is not None


class TrialRunner(tune.Trainable):
    """A trial in a worker process; a step trains to the next rung and answers with predictions."""

    def setup(self, config: dict[str, Any], work: Work) -> None:  # type: ignore[override]  # with_parameters adds it
        """Load what all trials of this worker share, and begin the first."""
        self._member = _Member(work)
        self._gang = _Gang(work) if work.config.trial.processes > 1 else None
        self._reports: Iterator[Report] = iter(())
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in this warm worker."""
        self.cleanup()
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        assignment = Assignment.model_validate_json(config["assignment"])
        train = self._member.train
        self._reports = self._gang.lead(assignment, train) if self._gang else train(assignment)

    def step(self) -> dict[str, Any]:
        """The next rung's predictions, or the cause of failure: here a failed trial becomes data.

        What it raises is a lost worker, and the trial starts again from its last rung, in another process.
        """
        try:
            with watched(self._gang.parts) if self._gang else nullcontext():
                report = next(self._reports)
        except ray.exceptions.RayError:  # a process or node that it needs is gone: no fault of the trial's
            raise
        except Exception as error:
            cause = (self._gang.failure() if self._gang else None) or error
            said = f"{type(cause).__name__}: {cause}"
            if blames_worker(cause):
                raise UnfitWorkerError(" ".join(said.split())) from error
            log.exception("the trial failed")
            smaller = cause.micro_batch if isinstance(cause, OutOfMemory) else None
            return {"failure": said, "micro_batch": smaller}
        return {
            "share": report.share,
            "predictions": pack(report.predictions > np.float32(0.5)),
            "setup_s": report.setup_s,
            "train_s": report.train_s,
            "eval_s": report.eval_s,
            "micro_batches": [event.micro_batch for event in report.events],
        }

    def cleanup(self) -> None:
        """End the present training and free its engine."""
        close = getattr(self._reports, "close", None)
        if close:
            close()
        if self._gang:
            self._gang.end()
