import logging
import os
import signal
import time
from typing import Any

import numpy as np
import psutil
import pytest
import ray

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


def process() -> int:
    """The grader's process, of this test's Ray."""
    [found] = [
        child.pid
        for child in psutil.Process().children(recursive=True)
        if "ray::Grader" in " ".join(child.cmdline())
    ]
    return found


def test_a_grader_that_stops_or_dies_is_restarted_and_that_is_said(
    remote: RemoteGrader, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed, caplog.handler.level = pack(answers(0, 1)), logging.WARNING
    before = remote.grade(packed)
    os.kill(process(), signal.SIGKILL)
    assert remote.grade(packed) == before
    monkeypatch.setattr(remote, "_answer_s", 10)
    os.kill(process(), signal.SIGSTOP)
    assert remote.grade(packed) == before
    assert list(dict.fromkeys(caplog.messages)) == [  # on a busy machine a restart is late as well
        "the grader's process died: it is started again from the sealed labels",
        "the grader did not answer within faults.grader_limit_s (10 s): it is started again from the "
        "sealed labels",
    ]


class Silent(RemoteGrader):
    """Each of its graders is a real actor that takes the question and never answers."""

    def _start(self) -> Any:
        class Sleeper:
            def grade(self, predictions: str) -> None:
                time.sleep(3600)

        return ray.remote(num_cpus=0)(Sleeper).remote()


def test_graders_that_never_answer_end_the_run_in_one_line(local_ray: None) -> None:
    split = TRUTH, BaselinePredictions(weak=answers(0)[None], ceiling=answers()[None])
    with pytest.raises(RuntimeError, match="also after 3 restarts; everything is saved, resume the run"):
        Silent(split, split, answer_s=0.5).grade(pack(answers(0)))
