"""Holds the labels of the search and test splits; predictions in, scores out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from agents.findings.predictions import pack, unpack
from search.scoring.pgr import (
    CLEAR_SES,
    LARGER_GAP,
    Baselines,
    Bools,
    Estimate,
    NoGapError,
    SeedVariance,
    accuracy,
    accuracy_gain,
    baseline_seed_variance,
    estimate,
)
from trainers.data.examples import Labels

Predicted = Sequence[Bools]

BETTER_FLOOR = (
    "give the weak supervisors more rows (task.splits.weak_train, baselines.own_rows), a longer training "
    "(weak.optim.epochs) or a better weak model (weak.model)"
)


@dataclass(frozen=True, kw_only=True)
class BaselinePredictions:
    """Classes that each baseline seed predicts on a split: weak bool [m, n], ceiling bool [c, n]."""

    weak: Bools
    ceiling: Bools

    def graded(self, truth: Labels) -> Baselines:
        """Compare the predictions with the truth."""
        return Baselines(weak=self.weak == truth, ceiling=self.ceiling == truth)


@dataclass(frozen=True, kw_only=True)
class Score:
    """A trial's score: accuracy, PGR with its standard error, and packed flags of correct examples.

    For the driver only: predictions together with `correct` would reveal the labels.
    """

    accuracy: float
    pgr: float
    se: float
    correct: str


@dataclass(frozen=True, kw_only=True)
class BaselineScores:
    """Weak floor and ceiling on a split: means over seeds with their errors, gap, seed variance.

    gap: ceiling minus weak floor; not above zero where there is none, and the seed variance is then unknown.
    weak_seeds, ceiling_seeds: the accuracy of each seed.
    majority: the share of the larger class. over_majority: weak floor minus majority, paired by example.
    """

    weak: Estimate
    ceiling: Estimate
    gap: float
    gap_se: float
    seed_variance: SeedVariance
    weak_seeds: tuple[float, ...]
    ceiling_seeds: tuple[float, ...]
    majority: float
    over_majority: Estimate

    @property
    def accuracies(self) -> dict[str, Any]:
        """Means and their errors, by the names that events, result.json and scripts have for them."""
        return {
            "weak_acc": self.weak.value,
            "weak_se": self.weak.se,
            "ceiling_acc": self.ceiling.value,
            "ceiling_se": self.ceiling.se,
        }

    @property
    def of_seeds(self) -> dict[str, Any]:
        """The seed variance and its degrees of freedom, by their names in events."""
        return {"seed_variance": self.seed_variance.value, "seed_free": self.seed_variance.free}

    @property
    def gap_is_clear(self) -> bool:
        """Whether the gap is shown: more than two standard errors above zero."""
        return self.gap > CLEAR_SES * self.gap_se

    def require_clear_gap(self) -> None:
        """Raise NoGapError, on one line, unless the gap is clear."""
        if not self.gap_is_clear:
            raise NoGapError(
                f"no clear gap to recover: ceiling minus weak floor is {self.gap:.4f} ± {self.gap_se:.4f} on "
                f"the search split, within {CLEAR_SES} standard errors of zero; {LARGER_GAP}, make "
                "task.splits.search or baselines.seeds larger, or set baselines.allow_unclear_gap=true"
            )

    @property
    def guessing(self) -> str:
        """A sentence where the weak floor is not clearly above that of a guesser; else empty."""
        over = self.over_majority
        if over.value > CLEAR_SES * over.se:
            return ""
        return (
            f"the weak floor {self.weak.value:.4f} is not clearly above what always naming the larger class "
            f"gets on the search split, {self.majority:.4f} (difference {over.value:+.4f} ± {over.se:.4f}): "
            f"a PGR counted from a guesser's floor flatters; {BETTER_FLOOR}"
        )


@dataclass(frozen=True, kw_only=True)
class TestGrades:
    """The examples of the test split that each method's seeds and the baselines got right.

    baseline_scores: weak floor and ceiling on that split, where there may be no gap.
    """

    __test__ = False  # not a pytest class

    correct: Mapping[str, Bools]
    baselines: Baselines
    baseline_scores: BaselineScores

    @classmethod
    def of(cls, correct: Mapping[str, Bools], baselines: Baselines, truth: Labels) -> "TestGrades":
        """The grades, which keep no labels. truth: of the test split."""
        return cls(correct=correct, baselines=baselines, baseline_scores=_scores(baselines, truth))


class Grader:
    """Grades predictions on the search split at any time, and on the test split when it is opened.

    coarsen: the step in PGR to which scores on the search split are rounded; 0 for exact scores. Repeated
    queries leak labels through the last digits of scores (Blum & Hardt 2015, "The ladder"); rounding hides
    them. Scores on the test split are exact.

    The grader is stateless: restarted after a crash, it gives the same scores.
    """

    def __init__(
        self,
        search: tuple[Labels, BaselinePredictions],
        test: tuple[Labels, BaselinePredictions],
        coarsen: float = 0.0,
    ) -> None:
        self._coarsen = coarsen
        self._search_truth, predictions = search
        self._search = predictions.graded(self._search_truth)
        self._test_truth, self._test_predictions = test

    def baselines(self) -> BaselineScores:
        """Weak floor, ceiling and gap on the search split; raises NoGapError if there is no gap."""
        _ = self._search.gap
        return _scores(self._search, self._search_truth)

    def grade(self, predictions: str) -> Score:
        """Score one trial's packed predictions on the search split."""
        correct = unpack(predictions, len(self._search_truth)) == self._search_truth
        found = estimate(correct[None], np.zeros(1, dtype=np.int64), self._search)
        score = Score(accuracy=float(correct.mean()), pgr=found.value, se=found.se, correct=pack(correct))
        return self._coarse(score) if self._coarsen else score

    def grade_many(self, predictions: Sequence[str]) -> list[Score]:
        """The scores of several trials' predictions, in their order."""
        return [self.grade(packed) for packed in predictions]

    def _coarse(self, score: Score) -> Score:
        """Round PGR to the grid, derive the accuracy from it, and round the error up."""
        pgr = round(self._coarsen * round(score.pgr / self._coarsen), 9)
        se = round(self._coarsen * math.ceil(score.se / self._coarsen), 9)
        accuracy = round(self._search.weak_acc + pgr * self._search.gap, 9)
        return replace(score, accuracy=accuracy, pgr=pgr, se=se)

    def open_test(self, predictions: Mapping[str, Sequence[str]]) -> TestGrades:
        """Grade the finalists on the test split: method name -> packed predictions, one per seed."""
        n = len(self._test_truth)
        correct = {
            name: np.stack([unpack(packed, n) == self._test_truth for packed in seeds])
            for name, seeds in predictions.items()
        }
        return TestGrades.of(correct, self._test_predictions.graded(self._test_truth), self._test_truth)


def _scores(baselines: Baselines, truth: Labels) -> BaselineScores:
    gap, weak = baselines.measured_gap, baselines.weak
    guess = (truth == (2 * int(truth.sum()) >= len(truth)))[None]
    return BaselineScores(
        weak=accuracy(weak),
        ceiling=accuracy(baselines.ceiling),
        gap=gap.value,
        gap_se=gap.se,
        seed_variance=baseline_seed_variance(baselines) if gap.value > 0 else SeedVariance(value=0.0, free=0),
        weak_seeds=tuple(weak.mean(axis=1).tolist()),
        ceiling_seeds=tuple(baselines.ceiling.mean(axis=1).tolist()),
        majority=float(guess.mean()),
        over_majority=accuracy_gain(weak, guess, np.arange(len(weak))),
    )


class SearchGrader(Protocol):
    """The part of a grader that the search uses: a Grader, or the actor that holds it."""

    def grade(self, predictions: str) -> Score:
        """See Grader.grade."""
        ...

    def grade_many(self, predictions: Sequence[str]) -> list[Score]:
        """See Grader.grade_many."""
        ...
