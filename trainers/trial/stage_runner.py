"""Runs a trial through the stages of its method, and saves finished stages for a pause or a crash."""

import logging
import shutil
import time
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from trainers.cache import digest
from trainers.components.formulas.losses import LossFormula, evidence_of
from trainers.components.orders import in_orders
from trainers.components.selection import plan
from trainers.components.stages import SelfTrain, TrainingTargets, own_targets, taught_by
from trainers.components.staging.folds import Rows, held_out, without
from trainers.components.staging.members import combined_probs
from trainers.components.staging.refine import Evolve
from trainers.components.staging.relabel import Known, NoRelabel, relabelled
from trainers.components.staging.sequence import DueRungs, due_rungs
from trainers.components.staging.stage import Stage, Teacher
from trainers.components.students import Student
from trainers.components.targets import make_targets
from trainers.components.weak_labels import Evidence
from trainers.files import replacing
from trainers.gang import rank
from trainers.method import Method
from trainers.seeds import derived_seed
from trainers.training.checkpoint import Checkpoint
from trainers.training.loop import Floats, total_steps
from trainers.training.orders import Asked, answer
from trainers.training.weights import TrainedWeights, trained_weights
from trainers.trial.label_quality import EvidenceUse, LabelQuality, label_quality

log = logging.getLogger(__name__)

FINISHED = "finished-stages.pt"


class StageRunner:
    """The state of a trial across its stages: what each stage learns, and the results of finished stages.

    stages: the trainings of the method, in order. weights: the trained weights of the last finished model.
    checkpoint: where results of finished stages are saved. given: how many intermediate models there are.
    """

    def __init__(
        self,
        method: Method,
        evidence: Evidence,
        seed: int,
        checkpoint: Checkpoint | None = None,
        given: int | None = None,
    ) -> None:
        self.method = method
        self.stages = method.sequence(given)
        self.weights: TrainedWeights = {}
        self._logits: list[Floats] = []
        self._use = EvidenceUse()
        self._evidence = self._use.watching(evidence)
        self._taught = evidence
        self._folded = np.array(evidence.weak_probs, dtype=np.float32)
        self._seed = seed
        self._checkpoint = checkpoint
        self._since = time.monotonic()

    def seed_of(self, stage: Stage) -> int:
        """The trial's seed; further members get seeds drawn from it."""
        if stage.member == 0:
            return self._seed
        return derived_seed(self._seed, stage.member)

    def due_rungs(self, rungs: Sequence[float]) -> list[DueRungs]:
        """As `sequence.due_rungs`. Models after the first count like it, whose labels alone are known."""
        return due_rungs(self.stages, [self._steps(stage) for stage in self.stages], rungs, self._stop)

    @property
    def _stop(self) -> float:
        return self.method.optim.stop

    def _steps(self, stage: Stage) -> int:
        if stage.evolves and isinstance(self.method.refine, Evolve):
            return self.method.refine.steps
        teacher: Teacher = "self" if stage.teacher == "self" else "weak"
        return total_steps(
            self._targets(replace(stage, teacher=teacher), self._evidence).plan, self.method.optim
        )

    def targets(self, stage: Stage) -> TrainingTargets:
        """What a stage learns."""
        return self._targets(stage, self._taught)

    @property
    def rate(self) -> float:
        """The share of class 1 that an evolution holds single texts to."""
        half = isinstance(self.method.refine, Evolve) and self.method.refine.rate == "half"
        return 0.5 if half else float(self._first.targets.mean())

    def label_quality(self, *, two_forms: bool) -> LabelQuality:
        """What can be said of the first targets without ground truth.

        two_forms: whether the consistent probe costs little, as for pairs. What else it takes is computed
        only where labels or weights asked for it.
        """
        targets, _ = self._first.targets, self._loss_evidence  # asks for what labels, weights and loss need
        return label_quality(
            targets,
            self._evidence,
            probe=bool(self._use.names & {"features", "nearest"}),
            consistency=two_forms or "consistency" in self._use.names,
        )

    def _targets(self, stage: Stage, evidence: Evidence) -> TrainingTargets:
        found = replace(self._whole_targets(stage, evidence), evidence=self._loss_evidence)
        if stage.fold is not None:
            found = replace(found, plan=without(found.plan, self._held_out(stage)))
        return in_orders(self.method.inputs, found)

    def _whole_targets(self, stage: Stage, evidence: Evidence) -> TrainingTargets:
        match stage.teacher:
            case "weak":
                return self._first
            case "previous":
                return self._by_method(evidence)
            case "relabelled":
                return self._relabelled(evidence)
            case "self":
                assert isinstance(self.method.stages, SelfTrain)
                return own_targets(self.method.stages, evidence)

    def _held_out(self, stage: Stage) -> Rows:
        assert stage.fold is not None
        return held_out(stage.fold, len(self._evidence.weak_probs), self.seed_of(stage))

    @cached_property
    def _first(self) -> TrainingTargets:
        return self._by_method(self._evidence)

    @cached_property
    def _loss_evidence(self) -> dict[str, Floats]:
        """What the loss knows of the examples beside their targets: the same in every training."""
        loss = self.method.loss
        return evidence_of(loss, self._evidence) if isinstance(loss, LossFormula) else {}

    def _by_method(self, evidence: Evidence) -> TrainingTargets:
        return self._planned(make_targets(self.method.label_steps, evidence), evidence)

    def _relabelled(self, student: Evidence) -> TrainingTargets:
        """The labels made anew take the place of the weak ones, for what is selected too."""
        assert not isinstance(self.method.relabel, NoRelabel)
        known = Known(
            weak=make_targets((self.method.labels,), self._evidence),
            targets=self._first.targets,
            student=student.weak_probs,
        )
        labels = relabelled(self.method.relabel, known)
        return self._planned(labels, self._evidence.with_probs(labels))

    def _planned(self, targets: Floats, evidence: Evidence) -> TrainingTargets:
        return TrainingTargets(targets=targets, plan=plan(self.method.select, evidence, targets))

    def hand_over(self, place: int, student: Student, transfer: Asked, logits: Floats) -> None:
        """Take from a finished model what the next stage needs.

        place: of the finished one. transfer: what it answers of that split.
        """
        stage, after = self.stages[place], self.stages[place + 1]
        self._logits.append(logits)
        if stage.fold is not None:
            self._take_fold(stage, student, transfer)
        elif after.teacher != "weak":
            self._taught = taught_by(self._evidence, expit(answer(student.module, transfer)))
        if after.continues:
            self.weights = trained_weights(student)

    def _take_fold(self, stage: Stage, student: Student, transfer: Asked) -> None:
        """Add what a student says of its held-out part; after the last part, all of it teaches."""
        assert stage.fold is not None
        rows = np.flatnonzero(self._held_out(stage))
        if len(rows):
            self._folded[rows] = expit(answer(student.module, transfer.some(rows)))
        if stage.fold.held_out == stage.fold.of - 1:
            self._taught = taught_by(self._evidence, self._folded.copy())

    def probs(self, *logits: Floats) -> Floats:
        """P(class 1), float32 [n], from the logits of the finished models and of the present one, on a split.

        The last models of the members answer, and the present one for its member.
        """
        known = [*self._logits, *logits]
        last = len(known) - 1
        answers = [own for place, own in enumerate(known) if place == last or self.stages[place].answers]
        return combined_probs(self.method.members, answers)

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
            "folded": torch.from_numpy(self._folded),
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
        self._folded = results["folded"].numpy()
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
