"""A training of a method."""

from dataclasses import dataclass
from typing import Literal

Teacher = Literal["weak", "previous", "relabelled", "self"]


@dataclass(frozen=True, kw_only=True)
class Fold:
    """The part of the transfer split that a student does not learn: `held_out` of `of` equal parts."""

    held_out: int
    of: int


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A training of a method.

    teacher: whose predictions are learned: the weak supervisor's (`weak`); those of the model before, as weak
    labels (`previous`), as evidence of what the weak labels should be (`relabelled`), or as targets (`self`).
    learner: index of an intermediate model, None for the strong student. continues: whether it starts from
    the weights of the model before. fold: the examples that it does not learn; None: it learns all. evolves:
    whether it is no training by gradients but an evolution strategy. member: index among the members, which
    differ by seed. answers: whether its model is the member's last.
    """

    teacher: Teacher = "weak"
    learner: int | None = None
    continues: bool = False
    fold: Fold | None = None
    evolves: bool = False
    member: int = 0
    answers: bool = True

    @property
    def length(self) -> float:
        """Its share in the progress of a method, in whole trainings; an evolution counts like one."""
        return 1 - 1 / self.fold.of if self.fold else 1.0
