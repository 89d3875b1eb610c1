"""A trial in its worker process, or in a gang of processes in the trial's placement group."""

import logging
import re
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import repeat
from typing import Any

import numpy as np
import ray
import torch
import torch.distributed as dist
from ray import tune

from agents.findings.predictions import pack
from search.engine.assignment import Assignment
from search.ledger.events import RungReached
from search.policy.faults import DISK_FULL
from search.workers.gang import Gang, exit_if_peer_ends
from search.workers.member import Member, Work
from trainers.training.loop import OutOfMemory
from trainers.training.session import means
from trainers.trial.workbench import Report

log = logging.getLogger(__name__)


DEVICE_ERROR = re.compile(r"(CUDA|cuDNN|NCCL|HIP)\b|No (CUDA|HIP) GPUs")  # PyTorch's messages


class UnfitWorkerError(RuntimeError):
    """A process, its node or a connection is broken: a trial that failed there may succeed elsewhere."""


def blames_worker(error: Exception) -> bool:
    """Whether an error is due to the process or its node, not to the method.

    After a device error every later trial of the process would fail too. A full disk is due to neither; too
    little memory is due to the method.
    """
    if isinstance(error, OSError):
        return error.errno not in DISK_FULL
    if isinstance(error, torch.OutOfMemoryError):
        return False
    if isinstance(error, dist.DistError | ImportError | torch.AcceleratorError):
        return True
    return isinstance(error, RuntimeError) and DEVICE_ERROR.match(str(error)) is not None


class TrialRunner(tune.Trainable):
    """A trial in a worker process; a step trains to the next rung and returns predictions."""

    def setup(self, config: dict[str, Any], work: Work) -> None:  # type: ignore[override]  # with_parameters adds it
        """Load what all trials of this worker share, and begin the first trial."""
        self._member = Member(work)
        self._gang = Gang(work) if work.config.trial.processes > 1 else None
        self._reports: Iterator[Report] = iter(())
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in this warm worker."""
        self.cleanup()
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        assignment = Assignment.model_validate_json(config["assignment"])
        self._trial, train = assignment.trial, self._member.train
        self._tasks = iter(assignment.on) if len(assignment.on) > 1 else repeat(assignment.on[0])
        self._reports = self._gang.lead(assignment, train) if self._gang else train(assignment)

    def step(self) -> dict[str, Any]:
        """The next rung, without its score, or the cause of failure: here a failed trial becomes data.

        Raises only if the worker is lost; the trial then restarts from its last rung in another process.
        """
        try:
            with exit_if_peer_ends(self._gang.results) if self._gang else nullcontext():
                report = next(self._reports)
        except ray.exceptions.RayError:  # a process or node of the trial is gone: the worker is lost
            raise
        except Exception as error:
            cause = (self._gang.failure() if self._gang else None) or error
            message = f"{type(cause).__name__}: {cause}"
            if blames_worker(cause):
                raise UnfitWorkerError(" ".join(message.split())) from error
            log.exception("the trial failed")
            smaller = cause.micro_batch if isinstance(cause, OutOfMemory) else None
            return {"failure": message, "micro_batch": smaller}
        rung = RungReached(
            trial=self._trial,
            share=report.share,
            predictions=pack(report.predictions > np.float32(0.5)),
            setup_s=report.setup_s,
            train_s=report.train_s,
            eval_s=report.eval_s,
            shared_s=report.shared_s,
            losses=tuple(float(f"{loss:.4g}") for loss in means(report.losses)),
            labels=report.labels,
            engine=report.engine,
        )
        micro_batches = [event.micro_batch for event in report.events]
        return {
            "rung": rung.model_dump_json(),
            "micro_batches": micro_batches,
            "task": next(self._tasks),
        }

    def cleanup(self) -> None:
        """End the current training and free its engine."""
        close = getattr(self._reports, "close", None)
        if close:
            close()
        if self._gang:
            self._gang.end()
