"""A method: one component in each slot. The catalogue of what a slot can hold is `SLOTS`."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from trainers.component import Component, Frozen
from trainers.labels import LABELS, Hard, Label
from trainers.losses import LOSSES, Loss, Xent
from trainers.models import STUDENTS, Full, Probe
from trainers.optim import Adamw
from trainers.selection import SELECTIONS, All, Selection
from trainers.stages import Once


class Method(Frozen):
    """What a trial does with the weak labels; the defaults make the naive baseline.

    The naive baseline is a full fine-tuning on hard weak labels by cross-entropy (Burns et al., 2023).
    """

    labels: Annotated[Label, Field(discriminator="kind")] = Hard()
    select: Annotated[Selection, Field(discriminator="kind")] = All()
    loss: Annotated[Loss, Field(discriminator="kind")] = Xent()
    student: Annotated[Full | Probe, Field(discriminator="kind")] = Full()
    optim: Adamw = Adamw()
    stages: Once = Once()

    @property
    def digest(self) -> str:
        """Sixteen hex digits that two methods share exactly when they are equal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


def _by_kind(components: Mapping[type[Any], object]) -> dict[str, type[Component]]:
    return {component.model_fields["kind"].default: component for component in components}


SLOTS: dict[str, dict[str, type[Component]]] = {
    "labels": _by_kind(LABELS),
    "select": _by_kind(SELECTIONS),
    "loss": _by_kind(LOSSES),
    "student": _by_kind(STUDENTS),
    "optim": {"adamw": Adamw},
    "stages": {"once": Once},
}
