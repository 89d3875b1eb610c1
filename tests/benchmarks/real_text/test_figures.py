import numpy as np
import pytest

from benchmarks.real_text.figures import Statistics, of_baseline, of_gap
from search.scoring.pgr import Baselines, Bools

N = 400


def right(*shares: float) -> Bools:
    """A row for each seed, the first of whose examples are right."""
    return np.arange(N) < np.round(np.array(shares)[:, None] * N)


BASELINES = Baselines(weak=right(0.5, 0.5, 0.6, 0.6), ceiling=right(0.95, 0.95))


def test_a_baseline_has_every_seed() -> None:
    found = of_baseline(BASELINES.weak)
    assert found["acc"] == pytest.approx(0.55)
    assert found["per_seed"] == [0.5, 0.5, 0.6, 0.6]


def test_a_gap_is_clear_beyond_two_standard_errors() -> None:
    assert of_gap(BASELINES)["value"] == pytest.approx(0.4)
    assert of_gap(BASELINES)["clear"]
    assert not of_gap(Baselines(weak=right(0.5, 0.7), ceiling=right(0.5, 0.71)))["clear"]


def test_gains_are_paired_with_naive_by_seed() -> None:
    """Seeds differ by far more than the methods do, but alike for both: the gain is clear, the PGR is not."""
    naive, better = right(0.55, 0.75), right(0.6, 0.8)
    statistics = Statistics(BASELINES, [2, 3], naive, {"better": better})
    found = statistics.of(better)
    assert found["acc"] == pytest.approx(0.7)
    assert found["pgr"] == pytest.approx(0.15 / 0.4)
    assert found["per_seed"] == pytest.approx([0.05 / 0.4, 0.25 / 0.4])
    assert found["over_naive"] == pytest.approx(0.05 / 0.4)
    assert found["over_naive_se"] < 0.1 < found["se"]
    assert found["p"] < 0.01
    assert statistics.of_naive()["pgr"] == pytest.approx(0.1 / 0.4)
    assert statistics.gain(naive, better)["p"] > 0.99
