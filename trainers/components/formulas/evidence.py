"""The signals that formulas of labels and weights may name, and random evidence on which they are tried."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from trainers.components.formulas.formula import PARAMETERS, Formula
from trainers.components.formulas.operations import Dual
from trainers.components.neighbours import nearest_of
from trainers.components.probing import cross_fitted_probs
from trainers.components.weak_labels import Evidence, Nearest, harden

Values = NDArray[np.float64]
Signals = Mapping[str, Values]

NEIGHBOURS = 10  # nearest others in the strong model's features
TRIED_ON = 512  # examples of random evidence
# Values of a, b and c with which a formula is tried.
TRIED_NUMBERS = tuple(
    dict(zip(PARAMETERS, numbers, strict=True))
    for numbers in ((0.5, 0.5, 0.5), (0.31, 0.77, 0.62), (0.77, 0.23, 0.31), (1.0, 0.0, 0.5))
)


class _Computed:
    """Signals of the evidence; what several of them need is computed once."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    @cached_property
    def nearest(self) -> Nearest:
        """Indices and similarities of the nearest others, [n, k]; k is 0 for a lone example."""
        return nearest_of(self.evidence, NEIGHBOURS)

    def probe(self) -> Values:
        """A cross-fitted probe's P(class 1)."""
        probs = cross_fitted_probs(self.evidence.features(), self.evidence.weak, self.evidence.seed)
        return np.asarray(probs, dtype=np.float64)

    def neighbours(self) -> Values:
        """The mean w of the nearest others; its own of a lone example."""
        weak = self.evidence.weak
        return weak[self.nearest[0]].mean(axis=1) if len(weak) > 1 else weak

    def agreement(self) -> Values:
        """The share of the nearest others on the same side; 1 for a lone example."""
        sides = harden(self.evidence.weak)
        if len(sides) == 1:
            return np.ones(1)
        alike: Values = (sides[self.nearest[0]] == sides[:, None]).mean(axis=1)
        return alike

    def density(self) -> Values:
        """The mean cosine of the nearest others; 0 for a lone example."""
        similarities = self.nearest[1]
        return similarities.mean(axis=1, dtype=np.float64) if len(similarities) > 1 else np.zeros(1)

    def prior(self) -> Values:
        """The strong model's zero-shot P(class 1)."""
        return self.evidence.checked_prior()

    def spread(self) -> Values:
        """The standard deviation over the weak models of the supervisor."""
        return np.asarray(self.evidence.spread(), dtype=np.float64)


COMPUTED: Mapping[str, Callable[[_Computed], Values]] = {
    "w": lambda signals: signals.evidence.weak,
    "probe": _Computed.probe,
    "neighbours": _Computed.neighbours,
    "agreement": _Computed.agreement,
    "density": _Computed.density,
    "prior": _Computed.prior,
    "spread": _Computed.spread,
}
SAYS: Mapping[str, str] = {
    "w": "weak P(class 1); of a repair, that of the step before",
    "probe": "P(class 1) of a probe on the strong model's features, fitted to w on the other folds",
    "neighbours": f"mean w of the {NEIGHBOURS} nearest others in these features",
    "agreement": "share of these with the same side of w",
    "density": "mean cosine of these, in [-1, 1]",
    "prior": "the strong model's zero-shot P(class 1), where this campaign can use it",
    "spread": "standard deviation of P(class 1) over the supervisor's weak models, where these are several",
}

MIRRORED = frozenset({"w", "probe", "neighbours", "prior"})  # P(class 1): 1 - P for a pair exchanged


def signals_of(evidence: Evidence, names: Iterable[str]) -> dict[str, Values]:
    """The named signals, float64 [n]; no others are computed. Raises ValueError if one is not finite."""
    computed = _Computed(evidence)
    return {name: COMPUTED[name](computed) for name in names if name in COMPUTED}


def computed(config: Formula, signals: Signals, numbers: Mapping[str, float] | None = None) -> Values:
    """The formula's value of every example, float64 [n]. numbers: in place of its own a, b and c."""
    given = dict(signals) | {
        name: np.float64(value) for name, value in (config.numbers | dict(numbers or {})).items()
    }
    duals = {name: Dual(given[name]) for name in config.program.names}
    found: Values = config.program.evaluate(duals, np.float64, np).value
    return found


@cache
def random_signals(*, hard: bool = False) -> Signals:
    """Evidence drawn at random: uniform, with exact 0, ½ and 1 and values near ½. hard: w is 0 or 1."""
    rng = np.random.default_rng(11)

    def probs() -> Values:
        drawn = rng.uniform(size=TRIED_ON)
        drawn[::7] = rng.choice([0.0, 0.5, 1.0], size=len(drawn[::7]))
        drawn[3::7] = rng.uniform(0.49, 0.51, size=len(drawn[3::7]))
        return drawn

    found = {name: probs() for name in (*COMPUTED, "t") if name != "spread"}
    found["density"] = rng.uniform(-0.2, 1.0, size=TRIED_ON)
    found["agreement"] = rng.integers(0, NEIGHBOURS + 1, size=TRIED_ON) / NEIGHBOURS
    found["spread"] = rng.uniform(0.0, 0.5, size=TRIED_ON)
    if hard:
        found["w"] = (found["w"] > 0.5).astype(np.float64)
    return found
