"""A trial in its worker processes: usually one, or a gang of them inside the trial's own placement group."""

import logging
import re
from collections.abc import Iterator
from contextlib import nullcontext
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
from search.workers.gang import Gang, watched
from search.workers.member import Member, Work
from trainers.training.loop import OutOfMemory
from trainers.trial.workbench import Report

log = logging.getLogger(__name__)


DEVICE = re.compile(r"(CUDA|cuDNN|NCCL|HIP)\b|No (CUDA|HIP) GPUs")  # how PyTorch tells of a broken one


class UnfitWorkerError(RuntimeError):
    """A process, its node or a connection is no good: a trial that failed there may do well elsewhere."""


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
        self._reports = self._gang.lead(assignment, train) if self._gang else train(assignment)

    def step(self) -> dict[str, Any]:
        """The next rung, without its score, or the cause of failure: here a failed trial becomes data.

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
        rung = RungReached(
            trial=self._trial,
            share=report.share,
            predictions=pack(report.predictions > np.float32(0.5)),
            setup_s=report.setup_s,
            train_s=report.train_s,
            eval_s=report.eval_s,
        )
        micro_batches = [event.micro_batch for event in report.events]
        return {"rung": rung.model_dump_json(), "micro_batches": micro_batches}

    def cleanup(self) -> None:
        """End the present training and free its engine."""
        close = getattr(self._reports, "close", None)
        if close:
            close()
        if self._gang:
            self._gang.end()
