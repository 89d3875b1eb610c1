import numpy as np
import pytest
from pydantic import ValidationError

from trainers.components.staging.members import MEMBERS, Ensemble, Single, combined_probs, left_out


def logits(*probs: float) -> np.ndarray:
    p = np.array(probs)
    return np.asarray(np.log(p / (1 - p)), dtype=np.float32)


def test_a_single_student_answers_alone() -> None:
    found = combined_probs(Single(), [logits(0.6, 0.3)])
    np.testing.assert_allclose(found, [0.6, 0.3], rtol=1e-5)
    assert found.dtype == np.float32
    assert Single().count == 1


def test_log_odds_are_averaged() -> None:
    # Log-odds of 0.9 and 0.5 are log 9 and 0: their mean is log 3, which is 0.75.
    np.testing.assert_allclose(combined_probs(Ensemble(), [logits(0.9), logits(0.5)]), [0.75], rtol=1e-5)


def test_a_trimmed_mean_leaves_out_both_ends() -> None:
    config = Ensemble(count=4, aggregate="trimmed", trim=0.25)
    outliers = [logits(0.999), logits(0.9), logits(0.5), logits(0.0001)]
    np.testing.assert_allclose(combined_probs(config, outliers), [0.75], rtol=1e-5)
    # With few members so far there is nothing to leave out.
    np.testing.assert_allclose(combined_probs(config, [logits(0.9), logits(0.5)]), [0.75], rtol=1e-5)
    np.testing.assert_allclose(combined_probs(config, [logits(0.9)]), [0.9], rtol=1e-5)


def test_a_median_is_that_of_each_example() -> None:
    config = Ensemble(count=3, aggregate="median")
    given = [logits(0.9, 0.2), logits(0.1, 0.4), logits(0.6, 0.99)]
    np.testing.assert_allclose(combined_probs(config, given), [0.6, 0.4], rtol=1e-5)


@pytest.mark.parametrize(("count", "trim", "out"), [(16, 0.15, 2), (3, 0.15, 0), (5, 0.4, 2), (10, 0.3, 3)])
def test_how_many_are_left_out(count: int, trim: float, out: int) -> None:
    assert left_out(count, trim) == out


def test_a_trim_that_leaves_nobody_out_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"trim 0.15 of count 3 leaves nobody out: set trim to 0.333"):
        Ensemble(count=3, aggregate="trimmed")
    assert Ensemble(count=16, aggregate="trimmed").trim == 0.15


def test_certain_members_do_not_overflow() -> None:
    sure = np.array([1e4, -1e4], dtype=np.float32)
    assert combined_probs(Ensemble(count=2), [sure, sure]).tolist() == [1.0, 0.0]


def test_the_registry_has_every_component() -> None:
    assert set(MEMBERS) == {Single, Ensemble}
