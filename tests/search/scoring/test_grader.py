import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from agents.findings.predictions import pack, unpack
from search.scoring.grader import BaselinePredictions, Grader
from search.scoring.pgr import NoGapError
from search.workers.remote_grader import RemoteGrader

TRUTH = np.array([1, 1, 0, 0, 1, 0, 1, 0, 1, 1], dtype=np.int8)
TEST_TRUTH = np.array([0, 1, 1, 0], dtype=np.int8)


def answers(truth: np.ndarray, *wrong: int) -> np.ndarray:
    """The classes of a model that errs on these examples."""
    predicted = truth == 1
    predicted[list(wrong)] ^= True
    return predicted


SEARCH = (
    TRUTH,
    BaselinePredictions(
        weak=np.stack([answers(TRUTH, 0, 1, 2, 3, 4), answers(TRUTH, 0, 1, 2)]),  # 0.5 and 0.7
        ceiling=np.stack([answers(TRUTH), answers(TRUTH)]),
    ),
)
TEST = (
    TEST_TRUTH,
    BaselinePredictions(
        weak=np.stack([answers(TEST_TRUTH, 0), answers(TEST_TRUTH, 0, 1, 2)]),
        ceiling=np.stack([answers(TEST_TRUTH), answers(TEST_TRUTH)]),
    ),
)


@pytest.fixture(scope="module")
def remote(local_ray: None) -> RemoteGrader:
    return RemoteGrader(SEARCH, TEST)


@pytest.fixture(params=["here", pytest.param("in an actor", marks=pytest.mark.slow)])
def grader(request: pytest.FixtureRequest) -> Grader | RemoteGrader:
    return Grader(SEARCH, TEST) if request.param == "here" else request.getfixturevalue("remote")


def test_baselines_are_means_over_seeds(grader: Grader | RemoteGrader) -> None:
    scores = grader.baselines()
    assert scores.weak.value == pytest.approx(0.6)
    assert scores.ceiling.value == 1.0
    assert scores.gap == pytest.approx(0.4)
    # Seeds 0.5 and 0.7: variance 0.02, over two 0.01. Examples 0, 0, 0, 1/2, 1/2 and five times 1: a sum of
    # squares of 0.5 + 5 - 10 * 0.36 = 1.9, over 9 and 10. Interaction: 4.8 - 0.2 - 2 * 1.9, over 9 and 20.
    assert scores.weak.se == pytest.approx(math.sqrt(0.01 + 1.9 / 90 - 0.8 / 180))


def test_a_trial_is_scored_on_the_search_split(grader: Grader | RemoteGrader) -> None:
    score = grader.grade(pack(answers(TRUTH, 3, 9)))
    assert score.accuracy == pytest.approx(0.8)
    assert score.pgr == pytest.approx((0.8 - 0.6) / 0.4)
    assert score.se > 0
    assert unpack(score.correct, 10).tolist() == [i not in (3, 9) for i in range(10)]


@pytest.mark.parametrize("make", [Grader, pytest.param(RemoteGrader, marks=pytest.mark.slow)])
def test_scores_can_be_coarsened(
    make: type[Grader] | type[RemoteGrader], request: pytest.FixtureRequest
) -> None:
    if make is RemoteGrader:
        request.getfixturevalue("local_ray")
    # Accuracies of 0.7 and 0.8, PGR of 0.25 and 0.5: on a grid of 0.4 both are 0.4, of accuracy 0.6 + 0.16.
    one, other = pack(answers(TRUTH, 3, 9, 5)), pack(answers(TRUTH, 3, 9))
    exact = Grader(SEARCH, TEST).grade(one)
    grader = make(SEARCH, TEST, 0.4)
    score = grader.grade(one)
    assert (score.pgr, score.accuracy) == (0.4, 0.76) == (grader.grade(other).pgr, score.accuracy)
    assert score.se == pytest.approx(0.4 * math.ceil(exact.se / 0.4))
    assert score.correct == exact.correct  # for the driver, which compares trials example by example
    opened = grader.open_test({"one": [pack(answers(TEST_TRUTH, 1))]})
    assert opened.correct["one"].mean() == 0.75


def test_a_perfect_and_a_hopeless_trial(grader: Grader | RemoteGrader) -> None:
    assert grader.grade(pack(answers(TRUTH))).pgr == pytest.approx(1.0)
    assert grader.grade(pack(answers(TRUTH, *range(10)))).pgr == pytest.approx(-1.5)


def test_the_test_split_is_answered_for_every_method_and_seed(grader: Grader | RemoteGrader) -> None:
    packed = {
        "naive": [pack(answers(TEST_TRUTH, 1)), pack(answers(TEST_TRUTH, 1, 2))],
        "other": [pack(answers(TEST_TRUTH)), pack(answers(TEST_TRUTH, 3))],
    }
    opened = grader.open_test(packed)
    assert opened.correct["naive"].tolist() == [[True, False, True, True], [True, False, False, True]]
    assert opened.correct["other"].tolist() == [[True, True, True, True], [True, True, True, False]]
    assert opened.baseline_scores.weak.value == pytest.approx(0.5)
    assert opened.baseline_scores.ceiling.value == 1.0
    assert opened.baseline_scores.majority == 0.5


def test_nothing_but_an_opening_reads_the_test_labels() -> None:
    class Sealed:
        """Labels that nobody may look at."""

        def __getattribute__(self, name: str) -> object:
            raise AssertionError(f"the test labels were asked for {name}")

        def __eq__(self, other: object) -> bool:
            raise AssertionError("the test labels were compared")

        def __len__(self) -> int:
            raise AssertionError("the test labels were counted")

    sealed: Any = Sealed()
    grader = Grader(SEARCH, (sealed, TEST[1]), coarsen=0.1)
    grader.baselines()
    grader.grade_many([pack(answers(TRUTH, 3))])
    with pytest.raises(AssertionError, match="the test labels were"):
        grader.open_test({"a": [pack(answers(TEST_TRUTH))]})


def test_a_gap_must_be_clear_of_its_error() -> None:
    clear = Grader(SEARCH, TEST).baselines()
    assert clear.gap > 2 * clear.gap_se > 0
    clear.require_clear_gap()
    # Two seeds of ten examples: 0.6 and 0.8 against 0.7 and 0.9 are a gap of one tenth, and no clear one.
    weak = np.stack([answers(TRUTH, 0, 1, 2, 3), answers(TRUTH, 4, 5)])
    ceiling = np.stack([answers(TRUTH, 4, 6, 7), answers(TRUTH, 8)])
    unclear = Grader((TRUTH, BaselinePredictions(weak=weak, ceiling=ceiling)), TEST).baselines()
    assert unclear.gap == pytest.approx(0.1)
    with pytest.raises(NoGapError, match=r"0\.1000 ± 0\.\d+ .* or set baselines\.allow_unclear_gap=true$"):
        unclear.require_clear_gap()


def test_a_weak_floor_that_is_no_better_than_the_larger_class_is_said() -> None:
    # Class 1 has 6 of 10. The supervisors, 0.5 and 0.7, get as much as who always names it.
    scores = Grader(SEARCH, TEST).baselines()
    assert (scores.majority, scores.over_majority.value) == (0.6, pytest.approx(0.0))
    assert scores.guessing.startswith(
        "the weak floor 0.6000 is not clearly above what always naming the larger class gets on the search "
        "split, 0.6000 (difference +0.0000 ± 0."
    )
    assert "weak.optim.epochs" in scores.guessing


@pytest.mark.parametrize(("right", "said"), [(80, False), (70, True)])
def test_a_weak_floor_is_held_against_the_larger_class_of_its_own_examples(right: int, said: bool) -> None:
    """100 examples, 60 of class 0; the supervisors err on the first of class 0 and know class 1."""
    truth = np.array([0] * 60 + [1] * 40, dtype=np.int8)
    wrong = np.array([i < 100 - right for i in range(100)])
    weak = np.stack([(truth == 1) ^ wrong] * 2)
    found = Grader((truth, BaselinePredictions(weak=weak, ceiling=(truth == 1)[None])), TEST).baselines()
    assert found.majority == 0.6
    # It gains 40 examples and loses 100 - right: the variance of the differences, over 100.
    gain, lost = (right - 60) / 100, 100 - right
    variance = (40 + lost - 100 * gain**2) / 99 / 100
    assert found.over_majority.value == pytest.approx(gain)
    assert found.over_majority.se == pytest.approx(math.sqrt(variance))
    assert bool(found.guessing) == (gain <= 2 * math.sqrt(variance)) == said


def test_the_test_split_may_have_no_gap() -> None:
    turned = BaselinePredictions(weak=TEST[1].ceiling, ceiling=TEST[1].weak)
    scores = (
        Grader(SEARCH, (TEST_TRUTH, turned)).open_test({"a": [pack(answers(TEST_TRUTH))]}).baseline_scores
    )
    assert scores.gap == pytest.approx(-0.5)
    assert scores.seed_variance.free == 0
    assert not scores.gap_is_clear


def test_no_gap_is_told_as_such() -> None:
    flat = BaselinePredictions(weak=SEARCH[1].weak, ceiling=SEARCH[1].weak)
    with pytest.raises(NoGapError, match="no gap to recover"):
        Grader((TRUTH, flat), TEST).baselines()


def test_the_graders_process_starts_without_torch() -> None:
    """Every run starts one, and waits for it before its first trial."""
    heavy = {"torch", "transformers", "pandas"}
    loaded = f"import sys, search.scoring.grader; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0
