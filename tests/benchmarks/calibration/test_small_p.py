import numpy as np
import pytest

from benchmarks.calibration.small_p import Gains, errors, measured
from search.scoring.pgr import Baselines, SeedVariance, difference

CERTAIN = Baselines(weak=np.zeros((4, 40), dtype=np.bool_), ceiling=np.ones((1, 40), dtype=np.bool_))


def statistics(gains: np.ndarray) -> Gains:
    k, n = gains.shape
    rest = gains - gains.mean(axis=0) - gains.mean(axis=1)[:, None] + gains.mean()
    return Gains(
        seeds=k,
        mean=np.array([gains.mean()]),
        rows=np.array([gains.mean(axis=1).var(ddof=1)]),
        columns=np.array([gains.mean(axis=0).var(ddof=1)]),
        interaction=np.array([np.square(rest).sum() / (k - 1) / (n - 1)]),
        true_se=np.ones(1),
    )


@pytest.mark.parametrize("prior", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("seed_sd", [0.0, 0.3])
def test_it_simulates_what_is_reported(prior: float, seed_sd: float) -> None:
    rng = np.random.default_rng(0)
    right = rng.uniform(size=(2, 4, 40)) < np.clip(rng.normal(0.6, seed_sd, (2, 4, 1)), 0, 1)
    of = SeedVariance(value=prior**2, free=3 if prior else 0)
    reported = difference(right[0], right[1], np.arange(4), CERTAIN, of)
    se, df = errors(
        statistics(right[0].astype(float) - right[1]), 2**0.5 * prior, of.free, examples=40
    )  # two methods, each of which varies by the prior
    assert (reported.se, reported.df) == (pytest.approx(se[0]), pytest.approx(df[0]))


def test_few_seeds_give_no_tiny_p_by_chance() -> None:
    """200,000 confirmations on three seeds without a gain."""
    before, after = (
        measured(np.random.default_rng(0), 3, 0.3, prior, 200_000) for prior in ("none", "right on average")
    )
    assert before["too_often"]["0.0001"] > 25
    assert before["coverage95"] < 0.935
    assert after["too_often"]["0.0001"] < 1.5
    assert after["too_often"]["0.01"] < 1.2
    assert 0.945 < after["coverage95"] < 0.97
