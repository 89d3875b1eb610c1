import subprocess
import sys

import numpy as np
import pytest

from search.policy.beliefs import Expected, stopped_at
from search.policy.observations import Scoreboard
from search.policy.promotion import Promotion, PromotionConfig, task_codes
from search.scoring.pgr import Reals

RUNGS = (0.1, 1.0)


def believed(scored: list[tuple[float, float, float]], asked: Reals) -> Expected:
    """scored: (place, share, pgr) of each score. asked: [m] places."""
    board = Scoreboard()
    for place, share, pgr in scored:
        board.add(stopped_at(np.array([[place, 1.0]]), 1, share)[0], RUNGS.index(share), pgr)
    rule = Promotion(PromotionConfig(first=2), rungs=RUNGS, column=1)
    outlook = rule.outlook(board, np.random.default_rng(0))
    assert outlook is not None
    return outlook.of(np.column_stack([asked, np.ones(len(asked))]))


def test_it_expects_what_it_has_seen_and_is_unsure_where_it_has_seen_nothing() -> None:
    """PGR rises with the place, to 0.45 at 0.5, far lower at the first rung; nothing was tried beyond."""
    seen = [(x, share, 0.9 * x - 0.5 * (share < 1)) for x in np.linspace(0, 0.5, 21) for share in RUNGS]
    found = believed(seen, np.array([0.1, 0.25, 0.4, 1.0]))
    assert found.pgr[:3] == pytest.approx([0.09, 0.225, 0.36], abs=0.05)
    assert (found.low <= found.pgr).all()
    assert (found.pgr <= found.high).all()
    width = found.high - found.low
    assert width[3] > 3 * width[1]


def test_a_method_counts_where_it_is_best_to_stop() -> None:
    falls = [(x, share, x - (0.3 if share == 1 else 0)) for x in np.linspace(0, 1, 12) for share in RUNGS]
    assert believed(falls, np.array([0.2, 0.8])).rung.tolist() == [0, 0]


def test_failures_are_no_scores_and_nothing_is_below_the_lowest() -> None:
    seen = [(x, 1.0, 0.1 + x / 10 if x > 0.5 else np.nan) for x in np.linspace(0, 1, 20)]
    found = believed(seen, np.array([0.0, 0.9]))
    assert found.pgr[0] == pytest.approx(found.pgr.min())
    assert found.pgr[0] >= 0.15
    assert found.pgr[1] > found.pgr[0]


def test_of_several_tasks_it_expects_the_mean() -> None:
    """One task is 0.4 easier than the other, and methods began on either in turn."""
    board = Scoreboard(2)
    for i, place in enumerate(np.linspace(0, 1, 24)):
        point = np.concatenate([[place, 1.0], task_codes(2)[i % 2]])
        board.add(point, 1, 0.2 + 0.1 * place + 0.4 * (i % 2), i % 2, first=True)
    rule = Promotion(PromotionConfig(first=2), rungs=RUNGS, column=1, codes=task_codes(2))
    outlook = rule.outlook(board, np.random.default_rng(0))
    assert outlook is not None
    found = outlook.of(np.array([[0.1, 1.0], [0.9, 1.0]]))
    assert found.pgr == pytest.approx([0.41, 0.49], abs=0.03)


def test_with_few_scores_there_is_no_outlook() -> None:
    board = Scoreboard()
    board.add(np.array([0.1, 1.0]), 0, 0.5)
    rule = Promotion(PromotionConfig(first=2), rungs=RUNGS, column=1)
    assert rule.outlook(board, np.random.default_rng(0)) is None


def test_the_same_method_stopped_earlier_is_another_point() -> None:
    points = np.array([[0.3, 1.0], [0.4, 0.5]])
    assert stopped_at(points, 1, 0.1) == pytest.approx(np.array([[0.3, 0.5], [0.4, 0.0]]))
    assert points[0, 1] == 1.0  # left as it was


def test_the_limit_holds_numpys_and_scipys_threads() -> None:
    # scipy brings a BLAS of its own, which is found only once it is loaded.
    code = """
from search.policy.beliefs import _blas
found = [library["filepath"] for library in _blas().info() if library["user_api"] == "blas"]
assert any("numpy" in path for path in found), found
assert any("scipy" in path for path in found), found
"""
    subprocess.run([sys.executable, "-c", code], check=True)
