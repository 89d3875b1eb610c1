import numpy as np
import pytest

from benchmarks.calibration.campaign import KINDS, Setting, made_fragile, steady
from benchmarks.calibration.fragile import row
from search.config.seeds import ReplicationConfig


def test_two_kinds_look_better_and_collapse() -> None:
    before = steady(np.random.default_rng(0))
    after = made_fragile(before, 0.3, 0.2)
    changed = {method for method in before if before[method] != after[method]}
    assert {before[method].kind for method in changed} == {0, 1}
    assert len(changed) == len(before) * 2 / len(KINDS)
    for method in changed:
        assert after[method].pgr == before[method].pgr + 0.3
        assert after[method].collapses == 0.2


@pytest.mark.slow
def test_more_seeds_find_out_methods_that_often_collapse() -> None:
    few, many = (
        row(0.3, 0.3, Setting(replication=ReplicationConfig(methods=6, seeds=seeds)), 12, 0)
        for seeds in (1, 8)
    )
    assert few["fragile_named_best"] > 0.7  # both kinds collapse in one campaign in eleven
    assert many["fragile_named_best"] < few["fragile_named_best"] - 0.2
    assert many["true_pgr"] > few["true_pgr"]
