"""Synthetic predictions with known true PGR, with the correlations of weak-to-strong campaigns.

A model is right on an example if a sum of normal effects is above zero: its level, the example's ease for all
models, the effect of its kind of method on the example, the luck of its supervisor and of its seed, what it
inherits of its supervisor's prediction for the example, and chance. The sum is normal, so the true accuracy,
and with it the true PGR, is known in closed form.

Where asked, methods suit supervisors differently: an effect of method and supervisor, the same for all seeds.
And where asked, the luck of a seed is skewed: a standard exponential, mirrored, so that most seeds are a
little better than the mean and some are much worse; the level is then found numerically.
"""

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from search.scoring.grader import BaselinePredictions
from trainers.components.weak_labels import supervisor_of
from trainers.data.examples import Labels

Reals = NDArray[np.float64]
Bools = NDArray[np.bool_]

WEAK, CEILING = 0.72, 0.95  # true accuracies
GAP = CEILING - WEAK
EASE, KIND, OWN, INHERITED, CHANCE = (
    1.0,
    0.4,
    0.2,
    0.6,
    1.0,
)  # standard deviations of the effects on a prediction
LUCK = 0.12  # of a supervisor: 0.025 of its accuracy; its students inherit a share PASSED_ON
PASSED_ON = 0.3
TWINS = 0.8  # correlation of the seed effects of two methods of a kind


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The truth about a method: its kind, its PGR unless it collapses, and how often it collapses."""

    kind: int
    pgr: float
    collapses: float = 0.0

    @property
    def mean_pgr(self) -> float:
        """The expectation over seeds, supervisors and examples; a collapsed student is right at random."""
        return (1 - self.collapses) * self.pgr + self.collapses * (0.5 - WEAK) / GAP


@dataclass(kw_only=True)
class Split:
    """The examples of a split: labels, ease float [n], and supervisors' inherited effects, [m, n]."""

    truth: Labels
    ease: Reals
    inherited: Reals
    kinds: dict[int, Reals] = field(default_factory=dict)
    own: dict[str, Reals] = field(default_factory=dict)

    def classes(self, right: Bools) -> Bools:
        """The predicted classes of a model that is right on these examples."""
        predicted: Bools = (self.truth == 1) == right
        return predicted


class World:
    """The supervisors, seeds and examples of a campaign; its predictions are reproducible."""

    def __init__(
        self,
        seed: int,
        *,
        supervisors: int,
        sizes: dict[str, int],
        seed_sd: float = 0.08,
        interaction: float = 0.0,
        skewed: bool = False,
        collapse_alone: bool = False,
    ) -> None:
        """sizes: examples a split. seed_sd: standard deviation of PGR between the seeds of a method.

        interaction: of PGR, standard deviation of the effect of method and supervisor. skewed: whether the
        luck of a seed is. collapse_alone: whether each method collapses on seeds of its own, not on those of
        its kind.
        """
        self._seed = seed
        self._collapse_alone = collapse_alone
        self._skewed = skewed
        self._interaction = interaction * GAP / self._slope(WEAK + GAP / 2)
        self._rng = np.random.default_rng([seed, 0])
        self._luck = self._rng.normal(size=supervisors)
        self._rise = seed_sd * GAP / self._slope(WEAK + GAP / 2)
        self.splits = {name: self._split(n, supervisors) for name, n in sizes.items()}

    def _split(self, n: int, supervisors: int) -> Split:
        return Split(
            truth=self._rng.integers(0, 2, n).astype(np.int8),
            ease=self._rng.normal(size=n),
            inherited=self._rng.normal(size=(supervisors, n)),
        )

    @staticmethod
    def _spread(*more: float) -> float:
        """Standard deviation of a model's sum of effects."""
        return float(np.sqrt(np.square([EASE, CHANCE, INHERITED, KIND, OWN, *more]).sum()))

    def _slope(self, accuracy: float) -> float:
        """How fast the accuracy rises with the level."""
        return float(stats.norm.pdf(special.ndtri(accuracy))) / self._spread()

    def baselines(self, split: str, ceilings: int) -> BaselinePredictions:
        """The classes that supervisors and ceiling seeds predict."""
        examples = self.splits[split]
        shape = examples.inherited.shape
        spread = self._spread(LUCK)
        level = special.ndtri(WEAK) * spread
        rng = np.random.default_rng([self._seed, 1, len(examples.truth)])
        chance = np.sqrt(self._spread() ** 2 - EASE**2 - INHERITED**2) * rng.normal(size=shape)
        weak = (
            level
            + EASE * examples.ease
            + INHERITED * examples.inherited
            + LUCK * self._luck[:, None]
            + chance
            > 0
        )
        spread = self._spread(self._rise)
        top = special.ndtri(CEILING) * spread + EASE * examples.ease
        top = top + self._rise * rng.normal(size=(ceilings, 1))
        top = (
            top + np.sqrt(self._spread() ** 2 - EASE**2) * rng.normal(size=(ceilings, len(examples.truth)))
            > 0
        )
        return BaselinePredictions(weak=examples.classes(weak), ceiling=examples.classes(top))

    def _luck_of(self, rng: np.random.Generator) -> float:
        """The luck that a seed brings to a kind of method; mean 0, variance 1."""
        return float(1 - rng.exponential() if self._skewed else rng.normal())

    def _suits(self, method: str, kind: int, supervisor: int) -> float:
        """How well a method suits a supervisor; mean 0, variance 1, similar for methods of a kind."""
        shared = np.random.default_rng([self._seed, 6, supervisor, kind]).normal()
        own = np.random.default_rng([self._seed, 7, supervisor, int(method, 16)]).normal()
        return float(TWINS**0.5 * shared + (1 - TWINS) ** 0.5 * own)

    def _level(self, accuracy: float) -> float:
        """The level of students with this mean accuracy over seeds, supervisors and examples."""
        lucky = np.sqrt(max(0.0, self._rise**2 - (PASSED_ON * LUCK) ** 2))
        rest = self._spread(PASSED_ON * LUCK, self._interaction)
        if not self._skewed:
            return float(special.ndtri(accuracy)) * float(np.hypot(rest, lucky))
        return _skewed_level(accuracy, rest, TWINS**0.5 * lucky, (1 - TWINS) ** 0.5 * lucky)

    def predictions(self, split: str, method: str, truth: Truth, seed: int) -> Bools:
        """The classes that a student predicts; method: its name, the same for all its seeds."""
        examples = self.splits[split]
        n, supervisor = len(examples.truth), supervisor_of(seed, len(self._luck))
        rng = np.random.default_rng([self._seed, 2, seed, int(method, 16), n])
        shared = np.random.default_rng([self._seed, 3, seed, truth.kind])
        if truth.kind not in examples.kinds:
            examples.kinds[truth.kind] = np.random.default_rng([self._seed, 4, truth.kind, n]).normal(size=n)
        if method not in examples.own:
            examples.own[method] = np.random.default_rng([self._seed, 5, int(method, 16), n]).normal(size=n)
        luck = TWINS**0.5 * self._luck_of(shared) + (1 - TWINS) ** 0.5 * rng.normal()
        if (rng if self._collapse_alone else shared).random() < truth.collapses:
            return examples.classes(rng.random(n) < 0.5)
        passed = PASSED_ON * LUCK * self._luck[supervisor]
        rest = np.sqrt(max(0.0, self._rise**2 - (PASSED_ON * LUCK) ** 2)) * luck
        level = self._level(WEAK + GAP * truth.pgr)
        right = (
            level
            + EASE * examples.ease
            + INHERITED * examples.inherited[supervisor]
            + KIND * examples.kinds[truth.kind]
            + OWN * examples.own[method]
            + passed
            + rest
            + self._interaction * self._suits(method, truth.kind, supervisor)
            + CHANCE * rng.normal(size=n)
        )
        return examples.classes(right > 0)


@cache
def _skewed_level(accuracy: float, rest: float, skewed: float, normal: float) -> float:
    """The level at which the mean of Phi over a mirrored exponential luck is `accuracy`."""
    luck = 1 - stats.expon.ppf((np.arange(2000) + 0.5) / 2000)
    spread = np.hypot(rest, normal)

    def excess(level: float) -> float:
        return float(stats.norm.cdf((level + skewed * luck) / spread).mean()) - accuracy

    return float(optimize.brentq(excess, -10, 10))
