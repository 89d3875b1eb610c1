"""Holds the labels of the search and test splits; predictions in, scores out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from agents.findings.predictions import pack, unpack
from search.scoring.pgr import Baselines, Bools, Estimate, SeedSpread, accuracy, estimate, seed_spread
from trainers.data.examples import Labels

Predicted = Sequence[Bools]


@dataclass(frozen=True, kw_only=True)
class BaselinePredictions:
    """Classes each baseline seed predicts on a split: weak bool [m, n], ceiling bool [c, n]."""

    weak: Bools
    ceiling: Bools

    def graded(self, truth: Labels) -> Baselines:
        """Which of them are right."""
        return Baselines(weak=self.weak == truth, ceiling=self.ceiling == truth)


@dataclass(frozen=True, kw_only=True)
class Score:
    """The grader's answer: accuracy, PGR with its standard error, which examples were right (packed bits).

    For the driver only: predictions together with what was right would give the labels away.
    """

    accuracy: float
    pgr: float
    se: float
    correct: str


@dataclass(frozen=True, kw_only=True)
class BaselineScores:
    """Weak floor and ceiling on a split, as means over seeds with their errors, and how seeds differ."""

    weak: Estimate
    ceiling: Estimate
    gap: float
    spread: SeedSpread


@dataclass(frozen=True, kw_only=True)
class TestAnswers:
    """The test split's answers: which examples each method's seeds and the baselines got right."""

    __test__ = False  # not a pytest class

    correct: Mapping[str, Bools]
    baselines: Baselines

    @property
    def baseline_scores(self) -> BaselineScores:
        """Floor and ceiling on the test split."""
        return _scores(self.baselines)


class Grader:
    """Grades predictions on the search split at any time, and on the test split when it is opened.

    coarsen: the grid that scores on the search split are rounded to, in PGR; 0 for none. Whoever asks again
    and again learns about the labels from the last digits of the answers (Blum & Hardt 2015, "The ladder");
    what is never told cannot be fitted to. The test split's answers are exact.

    Has no state that changes: one that is started again after a crash gives the same answers.
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
        """Floor, ceiling and gap on the search split; raises NoGapError where there is no gap."""
        return _scores(self._search)

    def grade(self, predictions: str) -> Score:
        """Score one trial's packed predictions on the search split."""
        correct = unpack(predictions, len(self._search_truth)) == self._search_truth
        answer = estimate(correct[None], np.zeros(1, dtype=np.int64), self._search)
        score = Score(accuracy=float(correct.mean()), pgr=answer.value, se=answer.se, correct=pack(correct))
        return self._coarse(score) if self._coarsen else score

    def grade_many(self, predictions: Sequence[str]) -> list[Score]:
        """The scores of several trials' predictions, in their order."""
        return [self.grade(one) for one in predictions]

    def _coarse(self, score: Score) -> Score:
        """PGR on the grid, the accuracy that goes with it, and the error rounded up: no less than it is."""
        pgr = round(self._coarsen * round(score.pgr / self._coarsen), 9)
        se = round(self._coarsen * math.ceil(score.se / self._coarsen), 9)
        accuracy = round(self._search.weak_acc + pgr * self._search.gap, 9)
        return replace(score, accuracy=accuracy, pgr=pgr, se=se)

    def open_test(self, predictions: Mapping[str, Sequence[str]]) -> TestAnswers:
        """Grade the finalists on the test split: method name -> one packed prediction a seed."""
        n = len(self._test_truth)
        correct = {
            name: np.stack([unpack(one, n) == self._test_truth for one in seeds])
            for name, seeds in predictions.items()
        }
        return TestAnswers(correct=correct, baselines=self._test_predictions.graded(self._test_truth))


def _scores(baselines: Baselines) -> BaselineScores:
    return BaselineScores(
        weak=accuracy(baselines.weak),
        ceiling=accuracy(baselines.ceiling),
        gap=baselines.gap,
        spread=seed_spread(baselines),
    )


class SearchGrader(Protocol):
    """What the search asks of a grader: the Grader itself, or the actor that holds it."""

    def grade(self, predictions: str) -> Score:
        """See Grader.grade."""
        ...

    def grade_many(self, predictions: Sequence[str]) -> list[Score]:
        """See Grader.grade_many."""
        ...
