import numpy as np
import pytest

from agents.findings.predictions import pack
from search.scoring.grader import BaselinePredictions
from search.workers.remote_grader import RemoteGrader

pytestmark = pytest.mark.slow

TRUTH = np.array([1, 1, 0, 0, 1, 0, 1, 0, 1, 1], dtype=np.int8)


def answers(*wrong: int) -> np.ndarray:
    """The classes of a model that errs on these examples."""
    predicted = TRUTH == 1
    predicted[list(wrong)] ^= True
    return predicted


@pytest.fixture(scope="module")
def remote(local_ray: None) -> RemoteGrader:
    weak, ceiling = np.stack([answers(0, 1, 2), answers(3, 4)]), np.stack([answers(), answers()])
    split = TRUTH, BaselinePredictions(weak=weak, ceiling=ceiling)
    return RemoteGrader(split, split)


def test_many_are_graded_in_their_order(remote: RemoteGrader) -> None:
    packed = [pack(answers(*range(wrong))) for wrong in range(8)]
    assert [round(score.accuracy * 10) for score in remote.grade_many(packed)] == [10, 9, 8, 7, 6, 5, 4, 3]
    assert remote.grade_many([]) == []


def test_an_error_in_the_actor_arrives_as_itself(remote: RemoteGrader) -> None:
    with pytest.raises(ValueError, match="non-hexadecimal number found") as caught:
        remote.grade("no bits")
    assert type(caught.value) is ValueError  # not Ray's wrapper with its traceback for a text
