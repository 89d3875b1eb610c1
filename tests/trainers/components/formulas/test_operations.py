"""Every operation against values by hand, its derivative against differences, torch against numpy."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from trainers.components.formulas.formula import ALL
from trainers.components.formulas.operations import LIMIT, SMALL, Dual, applied, sigmoid

WITH_DERIVATIVES = [name for name, function in ALL.items() if function.partials is not None]
EXTREMES = np.array([0.0, -0.0, 1e-9, -1e-9, 0.5, 1.0, -1.0, 3.7, 1e6, -1e6, 1e-300, 60.0, -700.0])


def value(name: str, *arguments: Any) -> Any:
    duals = tuple(Dual(np.asarray(argument, dtype=np.float64)) for argument in arguments)
    return applied(ALL[name], duals, np).value


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("+", (2, 3), 5),
        ("-", (2, 3), -1),
        ("*", (2, 3), 6),
        ("/", (3, 2), 1.5),
        ("/", (1, 0), LIMIT),
        ("/", (1, -1e-9), -LIMIT),
        ("/", (0, 0), 0),
        ("minus", (2,), -2),
        ("<", (1, 2), 1),
        ("<", (2, 2), 0),
        (">", (1, 2), 0),
        ("<=", (2, 2), 1),
        (">=", (1, 2), 0),
        ("abs", (-2,), 2),
        ("clip", (5, 0, 1), 1),
        ("clip", (-5, 0, 1), 0),
        ("clip", (0.3, 0, 1), 0.3),
        ("exp", (1,), math.e),
        ("exp", (1000,), LIMIT),
        ("log", (math.e,), 1),
        ("log", (0,), math.log(SMALL)),
        ("log", (-3,), math.log(SMALL)),
        ("logit", (0.75,), math.log(3)),
        ("max", (1, 2), 2),
        ("min", (1, 2), 1),
        ("pow", (3, 2), 9),
        ("pow", (-3, 2), 9),
        ("pow", (4, 0.5), 2),
        ("pow", (0, 0), 1),
        ("pow", (0, -1), LIMIT),
        ("sigmoid", (0,), 0.5),
        ("sigmoid", (math.log(3),), 0.75),
        ("where", (1, 2, 3), 2),
        ("where", (0, 2, 3), 3),
        ("sg", (2,), 2),
        # -(.25·ln .5 + .75·ln .5) and a target beyond 1, taken as 1.
        ("ce", (0.25, math.log(0.5), math.log(0.5)), math.log(2)),
        ("ce", (7, math.log(0.75), math.log(0.25)), -math.log(0.75)),
    ],
)
def test_a_value_is_that_worked_out_by_hand(name: str, arguments: Any, expected: float) -> None:
    assert float(value(name, *arguments)) == pytest.approx(expected, rel=1e-6)


def test_functions_of_all_examples() -> None:
    x = [3.0, 1.0, 2.0, 2.0]
    assert value("mean", x) == 2
    assert value("rank", x).tolist() == pytest.approx([0.8, 0.2, 0.5, 0.5])  # 4, 1, (2 + 3)/2 of 5
    assert value("z", [1.0, 3.0]).tolist() == [-1, 1]
    assert value("z", [0.1 + 0.2, 0.3]).tolist() == [0, 0]
    assert value("quantile", x, 0.5) == 2
    assert value("quantile", x, 7.0) == 3
    assert value("rank", [5.0]).tolist() == [0.5]
    assert value("z", [5.0]).tolist() == [0]


@pytest.mark.parametrize("name", WITH_DERIVATIVES)
def test_a_derivative_is_that_of_differences(name: str) -> None:
    function = ALL[name]
    rng = np.random.default_rng(3)
    for place in range(function.arity):
        points = rng.uniform(0.05, 0.95, size=(function.arity, 200))
        moved = rng.uniform(-1, 1, size=200)  # d argument / d logit
        duals = [Dual(x, moved if i == place else None) for i, x in enumerate(points)]
        slope = applied(function, tuple(duals), np).slope
        step = 1e-6
        ahead, behind = (
            value(name, *(x + sign * step * moved * (i == place) for i, x in enumerate(points)))
            for sign in (1, -1)
        )
        assert np.zeros(200) + slope == pytest.approx((ahead - behind) / (2 * step), abs=1e-5), place


def test_a_derivative_adds_up_over_the_arguments() -> None:
    # d(x·y) = 3·dx + 2·dy with dx = 1, dy = 10.
    product = applied(ALL["*"], (Dual(np.float64(2), np.float64(1)), Dual(np.float64(3), np.float64(10))), np)
    assert float(product.slope) == 23


def test_no_derivative_passes_a_stop_or_a_comparison() -> None:
    moving = Dual(np.array([0.3, 0.7]), np.ones(2))
    for name in ("sg", "rank", "z", "mean"):
        assert applied(ALL[name], (moving,), np).slope is None
    assert applied(ALL["<"], (moving, Dual(np.float64(0.5))), np).slope is None


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("library", ["numpy", "torch, float32"])
def test_every_value_and_derivative_is_finite(name: str, library: str) -> None:
    function = ALL[name]
    arguments = np.stack(np.meshgrid(*[EXTREMES] * function.arity)).reshape(function.arity, -1)
    if name == "quantile":
        arguments[1] = np.resize(EXTREMES, arguments.shape[1])
    for slope in (1.0, LIMIT, -LIMIT):
        if library == "numpy":
            xp: Any = np
            given = [Dual(x, np.full_like(x, slope)) for x in arguments]
        else:
            xp = torch
            given = [
                Dual(torch.tensor(x, dtype=torch.float32), torch.full((len(x),), slope)) for x in arguments
            ]
        if name == "quantile":
            given[1] = Dual(given[1].value[4])
        found = applied(function, tuple(given), xp)
        assert bool(xp.isfinite(found.value).all())
        assert float(xp.abs(found.value).max()) <= LIMIT
        if found.slope is not None:
            slopes = found.slope + 0 * given[0].value
            assert bool(xp.isfinite(slopes).all())
            assert float(xp.abs(slopes).max()) <= LIMIT


@pytest.mark.parametrize("name", ALL)
def test_torch_computes_what_numpy_does(name: str) -> None:
    function = ALL[name]
    rng = np.random.default_rng(5)
    points = np.round(rng.uniform(0.05, 0.95, size=(function.arity, 50)), 2)
    of_numpy = [Dual(x, x + 1) for x in points]
    of_torch = [Dual(torch.from_numpy(x), torch.from_numpy(x + 1)) for x in points]
    if name == "quantile":
        of_numpy[1], of_torch[1] = Dual(np.float64(0.3)), Dual(torch.tensor(0.3, dtype=torch.float64))
    one, other = applied(function, tuple(of_numpy), np), applied(function, tuple(of_torch), torch)
    assert np.asarray(other.value) == pytest.approx(one.value, abs=1e-12)
    assert (one.slope is None) == (other.slope is None)
    if one.slope is not None:
        assert np.asarray(other.slope) == pytest.approx(one.slope, abs=1e-9)


def test_sigmoid_has_no_overflow() -> None:
    assert sigmoid(np, np.array([-1e6, 1e6])).tolist() == pytest.approx([0, 1], abs=1e-20)
