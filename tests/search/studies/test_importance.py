from collections.abc import Callable

import numpy as np
import pytest

from agents.language.proposal import Branch
from search.studies.importance import (
    FEWEST,
    MIN_RESAMPLED,
    MIN_TRIALS,
    campaign_importance,
    importance,
    importance_with_uncertainty,
)
from trainers.components.losses import LogConf, Xent
from trainers.components.optim import Adamw
from trainers.method import Method

LRS = [1e-4 * 1.1**i for i in range(40)]


def results(decides: Callable[[float, float], float]) -> list[tuple[Method, float]]:
    """Methods over a grid of lr and aux, and the PGR that the two decide."""
    points = [(lr, (7 * i % 20) / 20) for i, lr in enumerate(LRS)]
    return [
        (Method(loss=LogConf(aux=aux), optim=Adamw(lr=lr, epochs=1)), decides(lr, aux)) for lr, aux in points
    ]


@pytest.mark.parametrize(
    ("decides", "first"),
    [(lambda lr, aux: aux, "loss.logconf.aux"), (lambda lr, aux: lr * 100, "optim.adamw.lr")],
)
def test_the_parameter_that_decides_comes_first(
    branch: Callable[..., Branch], decides: Callable[[float, float], float], first: str
) -> None:
    shares = importance(branch("one"), Method(), results(decides))
    assert shares[0][0] == first
    assert shares[0][1] > 0.5
    assert sum(share for _, share in shares) == pytest.approx(1)


def test_a_choice_between_components_has_its_share(branch: Callable[..., Branch]) -> None:
    methods = [Method(loss=Xent(), optim=Adamw(lr=lr, epochs=1)) for lr in LRS]
    found = [(method, 0.1) for method in methods] + results(lambda lr, aux: 0.9)
    assert importance(branch("one"), Method(), found)[0][0] == "loss.kind"


def test_too_little_is_known_to_tell(branch: Callable[..., Branch]) -> None:
    few = results(lambda lr, aux: aux)[: FEWEST - 1]
    assert importance(branch("one"), Method(), few) == ()
    assert importance(branch("one"), Method(), results(lambda lr, aux: 0.5)) == ()
    elsewhere = [(Method(optim=Adamw(lr=1e-3, epochs=9)), i / 10) for i in range(10)]
    assert importance(branch("one"), Method(), elsewhere) == ()


def test_what_decides_in_the_whole_campaign_comes_first() -> None:
    rng = np.random.default_rng(0)
    rows = [
        (Method(loss=LogConf(aux=float(aux)), optim=Adamw(lr=float(10**lr))), float(aux))
        for aux, lr in zip(rng.uniform(size=60), rng.uniform(-4, -2, size=60), strict=True)
    ]
    shares = campaign_importance(rows)
    assert shares[0][0] == "loss.logconf.aux"
    assert shares[0][1] > 0.8
    assert sum(share for _, share in shares) == pytest.approx(1)
    assert campaign_importance(rows[: MIN_TRIALS - 1]) == []
    assert campaign_importance([rows[0]] * MIN_TRIALS) == []


def test_the_importance_of_noise_is_uncertain_and_that_of_a_cause_is_not() -> None:
    rng = np.random.default_rng(0)
    drawn = [
        Method(loss=LogConf(aux=float(aux)), optim=Adamw(lr=float(10**lr)))
        for aux, lr in zip(rng.uniform(size=60), rng.uniform(-4, -2, size=60), strict=True)
    ]
    caused = importance_with_uncertainty([(method, method.loss.aux) for method in drawn])  # type: ignore[union-attr]
    noise = importance_with_uncertainty([(method, float(rng.normal())) for method in drawn])
    for shares in (caused, noise):
        assert all(0 <= one.low <= one.share <= one.high <= 1 for one in shares)
    assert caused[0].name == "loss.logconf.aux"
    assert caused[0].low > 0.5 > caused[1].high
    assert noise[0].low < noise[1].high  # which of the two matters is not known
    assert importance_with_uncertainty([(drawn[0], 0.1)] * (MIN_RESAMPLED - 1)) == []
