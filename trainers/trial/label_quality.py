"""What can be said of a trial's labels without ground truth."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainers.component import Frozen
from trainers.components.probing import cross_fitted_probs
from trainers.components.repairing.consistency import with_sign
from trainers.components.weak_labels import Evidence, FloatArray, harden

Share = Annotated[float, Field(ge=0, le=1)]


class LabelQuality(Frozen):
    """Shares of the transfer examples, by the sides of a trial's first targets.

    kept: on the side of the weak label. balance: of class 1. predictable: on the side that a probe of the
    strong model's features says, fitted to the targets of the other folds; high by construction where a
    repair follows these features. consistent: on the side of a probe that was fitted without labels (CCS),
    up to the sign that most targets agree with. None where it was not computed.
    """

    kept: Share
    balance: Share
    predictable: Share | None = None
    consistent: Share | None = None


@dataclass
class EvidenceUse:
    """What a trial has asked of its evidence: the names of the fields."""

    names: set[str] = field(default_factory=set)

    def watching(self, evidence: Evidence) -> Evidence:
        """The evidence, which notes here what is asked of it."""
        nearest = evidence.nearest
        return replace(
            evidence,
            features=self._noted("features", evidence.features),
            consistency=self._noted("consistency", evidence.consistency),
            nearest=nearest and self._noted("nearest", nearest),
        )

    def _noted(self, name: str, ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*given: Any) -> Any:
            self.names.add(name)
            return ask(*given)

        return asked


def label_quality(targets: FloatArray, evidence: Evidence, *, probe: bool, consistency: bool) -> LabelQuality:
    """Compare targets P(class 1), float [n], with the weak labels of the evidence and what else is known.

    probe, consistency: whether to compute what takes features, and what takes the consistent probe. That a
    label can be predicted from those of the others as a criterion without truth: "Unsupervised Elicitation of
    Language Models" (arXiv:2506.10139).
    """
    sides = harden(targets)
    weak = sides.astype(np.float64)
    predicted = cross_fitted_probs(evidence.features(), weak, evidence.seed) if probe else None
    own = with_sign(evidence.consistency(), weak) if consistency else None
    return LabelQuality(
        kept=_alike(sides, evidence.weak),
        balance=float(sides.mean()),
        predictable=None if predicted is None else _alike(sides, predicted),
        consistent=None if own is None else _alike(sides, own),
    )


def _alike(sides: NDArray[np.bool_], probs: FloatArray) -> float:
    return float((harden(probs) == sides).mean())
