"""Runs a trial through the stages of its method, and saves finished stages for a pause or a crash."""

import logging
import shutil
import time
import zipfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from trainers.cache import digest
from trainers.components.orders import in_orders
from trainers.components.selection import plan
from trainers.components.stages import (
    DueRungs,
    SelfTrain,
    Stage,
    Teacher,
    TrainingTargets,
    combined_probs,
    due_rungs,
    own_targets,
    taught_by,
)
from trainers.components.students import Student
from trainers.components.targets import make_targets
from trainers.components.weak_labels import Evidence
from trainers.files import replacing
from trainers.gang import rank
from trainers.method import Method
from trainers.training.checkpoint import Checkpoint
from trainers.training.loop import Floats, total_steps
from trainers.training.orders import Asked, answer
from trainers.training.weights import TrainedWeights, trained_weights

log = logging.getLogger(__name__)

FINISHED = "finished-stages.pt"


class StageRunner:
    """The state of a trial across its stages: what each stage learns, and the results of finished stages.

    weights: the trained weights of the last finished model. checkpoint: where results of finished stages are
    saved.
    """

    def __init__(
        self, method: Method, evidence: Evidence, seed: int, checkpoint: Checkpoint | None = None
    ) -> None:
        self.method = method
        self.weights: TrainedWeights = {}
        self._logits: list[Floats] = []
        self._evidence = evidence
        self._taught = evidence
        self._seed = seed
        self._checkpoint = checkpoint
        self._since = time.monotonic()

    def seed_of(self, stage: Stage) -> int:
        """The trial's seed; further members of an ensemble get seeds drawn from it."""
        if stage.member == 0:
            return self._seed
        return int(np.random.SeedSequence([self._seed, stage.member]).generate_state(1)[0])

    def due_rungs(self, stages: Sequence[Stage], rungs: Sequence[float]) -> list[DueRungs]:
        """As `stages.due_rungs`. All models of a chain count like the first, whose plan alone is known."""
        plans = {
            teacher: self._targets(teacher, self._evidence).plan for teacher in {s.teacher for s in stages}
        }
        steps = [total_steps(plans[stage.teacher], self.method.optim) for stage in stages]
        return due_rungs(steps, rungs, self.method.optim.stop)

    def targets(self, stage: Stage) -> TrainingTargets:
        """What a stage learns."""
        return self._targets(stage.teacher, self._taught)

    def _targets(self, teacher: Teacher, evidence: Evidence) -> TrainingTargets:
        return in_orders(self.method.inputs, self._targets_as_shown(teacher, evidence))

    def _targets_as_shown(self, teacher: Teacher, evidence: Evidence) -> TrainingTargets:
        if teacher == "weak":
            return self._first
        if teacher == "previous":
            return self._by_method(evidence)
        assert isinstance(self.method.stages, SelfTrain)
        return own_targets(self.method.stages, evidence)

    @cached_property
    def _first(self) -> TrainingTargets:
        return self._by_method(self._evidence)

    def _by_method(self, evidence: Evidence) -> TrainingTargets:
        targets = make_targets(self.method.label_steps, evidence)
        return TrainingTargets(targets=targets, plan=plan(self.method.select, evidence, targets))

    def hand_over(self, student: Student, transfer: Asked, logits: Floats, after: Stage) -> None:
        """Take from a finished model what the next stage needs. transfer: what it answers of that split."""
        self._logits.append(logits)
        if after.teacher != "weak":
            self._taught = taught_by(self._evidence, expit(answer(student.module, transfer)))
        if after.continues:
            self.weights = trained_weights(student)

    def probs(self, *logits: Floats) -> Floats:
        """P(class 1), float32 [n], from the logits of the finished models and those given, on a split."""
        return combined_probs(self.method.stages, [*self._logits, *logits])

    # Saved for a trial that pauses, or whose worker dies

    def checkpoint_of(self, place: int) -> Checkpoint | None:
        """Where the training of a stage saves its state."""
        kept = self._checkpoint
        return kept and Checkpoint(folder=kept.folder / f"stage-{place}", after_s=kept.after_s)

    def save_if_worth_it(self, finished: int) -> None:
        """Save the results of `finished` stages if their training took long enough."""
        if self._checkpoint and time.monotonic() - self._since >= self._checkpoint.after_s:
            self.save(finished)

    def save(self, finished: int) -> None:
        """Save the results of `finished` stages; in a gang only rank 0 does."""
        if self._checkpoint is None or rank() > 0:
            return
        folder = self._checkpoint.folder
        folder.mkdir(parents=True, exist_ok=True)
        results = {
            "trial": self._identity,
            "finished": finished,
            "odds": [torch.from_numpy(logits) for logits in self._logits],
            "taught": torch.from_numpy(np.array(self._taught.weak_probs)),
            "weights": self.weights,
        }
        with replacing(folder / FINISHED) as file:
            torch.save(results, file)
        shutil.rmtree(folder / f"stage-{finished - 1}", ignore_errors=True)
        self._since = time.monotonic()

    def restore(self) -> int:
        """Load what was saved; returns the number of finished stages, 0 if nothing can be read."""
        if self._checkpoint is None or not (self._checkpoint.folder / FINISHED).is_file():
            return 0
        try:
            results = _intact(self._checkpoint.folder / FINISHED)
        except Exception as error:  # a damaged file may raise anything
            log.warning(
                "%s is damaged (%s): starting from the beginning", self._checkpoint.folder / FINISHED, error
            )
            return 0
        if results["trial"] != self._identity:
            log.warning(
                "%s holds the state of another trial: starting from the beginning", self._checkpoint.folder
            )
            return 0
        self._logits = [logits.numpy() for logits in results["odds"]]
        self._taught = taught_by(self._evidence, results["taught"].numpy())
        self.weights = results["weights"]
        return int(results["finished"])

    @property
    def _identity(self) -> str:
        return digest(self.method.digest, self._seed, np.asarray(self._evidence.weak_probs))


def _intact(file: Path) -> dict[str, Any]:
    """The content of a file that torch.save wrote, a zip whose parts each carry a checksum."""
    with zipfile.ZipFile(file) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} has another checksum")
    content: dict[str, Any] = torch.load(file, weights_only=True)
    return content
