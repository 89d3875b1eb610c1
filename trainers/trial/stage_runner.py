"""A trial's way through the stages of its method, and what is kept of it when it pauses."""

import logging
import shutil
import time
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from trainers.cache import digest
from trainers.components.labels import make_targets
from trainers.components.selection import plan
from trainers.components.stages import (
    Halts,
    Lesson,
    SelfTrain,
    Stage,
    Teacher,
    answer,
    halts,
    own_lesson,
    taught_by,
)
from trainers.components.students import Student
from trainers.components.weak_labels import Evidence
from trainers.files import replacing
from trainers.gang import rank
from trainers.method import Method
from trainers.training.checkpoint import Checkpoint
from trainers.training.loop import Floats, Inputs, predict, total_steps
from trainers.training.weights import TrainedWeights, trained_weights

log = logging.getLogger(__name__)

LEFT = "finished-stages.pt"


class Course:
    """A trial's way through its stages: what each learns, and what those behind it have left.

    weights: what the last finished model trained. checkpoint: where to keep what finished stages have left.
    """

    def __init__(
        self, method: Method, evidence: Evidence, seed: int, checkpoint: Checkpoint | None = None
    ) -> None:
        self.method = method
        self.weights: TrainedWeights = {}
        self._odds: list[Floats] = []
        self._evidence = evidence
        self._taught = evidence
        self._seed = seed
        self._checkpoint = checkpoint
        self._since = time.monotonic()

    def seed_of(self, stage: Stage) -> int:
        """The trial's own seed; further members of an ensemble have seeds drawn from it."""
        if stage.member == 0:
            return self._seed
        return int(np.random.SeedSequence([self._seed, stage.member]).generate_state(1)[0])

    def halts(self, stages: Sequence[Stage], rungs: Sequence[float]) -> list[Halts]:
        """As `stages.halts`; a chain's links count as long as its first, whose plan alone is known."""
        plans = {
            teacher: self._lesson(teacher, self._evidence).plan for teacher in {s.teacher for s in stages}
        }
        return halts([total_steps(plans[stage.teacher], self.method.optim) for stage in stages], rungs)

    def lesson(self, stage: Stage) -> Lesson:
        """What the stage learns."""
        return self._lesson(stage.teacher, self._taught)

    def _lesson(self, teacher: Teacher, evidence: Evidence) -> Lesson:
        if teacher == "weak":
            return self._first
        if teacher == "previous":
            return self._by_method(evidence)
        assert isinstance(self.method.stages, SelfTrain)
        return own_lesson(self.method.stages, evidence)

    @cached_property
    def _first(self) -> Lesson:
        return self._by_method(self._evidence)

    def _by_method(self, evidence: Evidence) -> Lesson:
        targets = make_targets(self.method.labels, evidence)
        return Lesson(targets=targets, plan=plan(self.method.select, evidence, targets))

    def passed(self, student: Student, learn: Inputs, odds: Floats, after: Stage) -> None:
        """Take over from a finished model what the stage after it needs."""
        self._odds.append(odds)
        if after.teacher != "weak":
            self._taught = taught_by(self._evidence, predict(student.module, learn))
        if after.continues:
            self.weights = trained_weights(student)

    def answer(self, *odds: Floats) -> Floats:
        """P(class 1), float32 [n], of the finished models and those given, by their log-odds on one split."""
        return answer(self.method.stages, [*self._odds, *odds])

    # What is kept for a trial that pauses, or whose worker dies

    def checkpoint_of(self, place: int) -> Checkpoint | None:
        """Where the training of a stage keeps its own state."""
        kept = self._checkpoint
        return kept and Checkpoint(folder=kept.folder / f"stage-{place}", after_s=kept.after_s)

    def save_if_worth_it(self, finished: int) -> None:
        """Keep what so many finished stages have left, if their training took long enough."""
        if self._checkpoint and time.monotonic() - self._since >= self._checkpoint.after_s:
            self.save(finished)

    def save(self, finished: int) -> None:
        """Keep what so many finished stages have left; a gang's first member does it for all."""
        if self._checkpoint is None or rank() > 0:
            return
        folder = self._checkpoint.folder
        folder.mkdir(parents=True, exist_ok=True)
        left = {
            "trial": self._identity,
            "finished": finished,
            "odds": [torch.from_numpy(one) for one in self._odds],
            "taught": torch.from_numpy(np.array(self._taught.weak_probs)),
            "weights": self.weights,
        }
        with replacing(folder / LEFT) as file:
            torch.save(left, file)
        shutil.rmtree(folder / f"stage-{finished - 1}", ignore_errors=True)
        self._since = time.monotonic()

    def restore(self) -> int:
        """Take up what was kept; returns how many stages are finished, 0 where nothing is known."""
        if self._checkpoint is None or not (self._checkpoint.folder / LEFT).is_file():
            return 0
        left = torch.load(self._checkpoint.folder / LEFT, weights_only=True)
        if left["trial"] != self._identity:
            log.warning("%s holds the state of another trial: starting anew", self._checkpoint.folder)
            return 0
        self._odds = [one.numpy() for one in left["odds"]]
        self._taught = taught_by(self._evidence, left["taught"].numpy())
        self.weights = left["weights"]
        return int(left["finished"])

    @property
    def _identity(self) -> str:
        return digest(self.method.digest, self._seed, np.asarray(self._evidence.weak_probs))
