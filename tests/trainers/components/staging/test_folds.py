import numpy as np
import pytest

from trainers.components.selection import Phase, Plan
from trainers.components.staging.folds import held_out, without
from trainers.components.staging.stage import Fold


def plan(*weights: list[float]) -> Plan:
    phases = (
        Phase(start=place / 10, weights=np.array(own, dtype=np.float32), lr_scale=0.5)
        for place, own in enumerate(weights)
    )
    return Plan(phases=tuple(phases), keep_share=lambda progress: 0.7)


@pytest.mark.parametrize(("count", "of"), [(10, 2), (11, 3), (2, 4), (1, 2)])
def test_every_example_is_held_out_once(count: int, of: int) -> None:
    parts = np.array([held_out(Fold(held_out=part, of=of), count, seed=7) for part in range(of)])
    assert (parts.sum(axis=0) == 1).all()
    assert parts.sum(axis=1).max() - parts.sum(axis=1).min() <= 1


def test_the_seed_decides_who_is_held_out() -> None:
    one, same, other = (held_out(Fold(held_out=0, of=2), 40, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_others_keep_their_proportions() -> None:
    rest = without(plan([1.5, 0.5, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]), np.array([True, False, False, False]))
    # Of .5 and 1 the mean is .75.
    np.testing.assert_allclose(rest.phases[0].weights, [0, 2 / 3, 4 / 3, 0], rtol=1e-6)
    assert rest.phases[1].weights.tolist() == [0, 1, 1, 1]
    assert [(phase.start, phase.lr_scale) for phase in rest.phases] == [(0.0, 0.5), (0.1, 0.5)]
    assert rest.keep_share is not None
    assert rest.keep_share(0.5) == 0.7


def test_a_phase_that_keeps_none_of_the_others_trains_on_all_of_them() -> None:
    first = np.array([True, False, False])
    assert without(plan([1.0, 0.0, 0.0]), first).phases[0].weights.tolist() == [0, 1, 1]
    assert without(plan([1.0]), np.array([True])).phases[0].weights.tolist() == [1]  # there are no others
