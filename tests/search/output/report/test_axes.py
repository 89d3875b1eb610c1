"""Axes: what widens them, and what does not."""

from collections.abc import Sequence

import pytest

from search.output.report.axes import beyond, cut_ends, domain, interval_domain, scale

STEADY = [0.3, 0.4, 0.45, 0.5, 0.55, 0.6]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], (-0.05, 1.05)),
        ([0.2, 0.9], (-0.05, 1.05)),
        ([-0.5, 1.25], (-0.5875, 1.3375)),
        ([-7.0, 9.0], (-1.125, 1.625)),  # two values: none of them is far out, but PGR is not shown beyond
        ([*STEADY, -0.9], (-0.05, 1.05)),
        ([0.5] * 5 + [-0.2], (-0.26, 1.06)),  # without a spread nothing is far out
    ],
)
def test_an_axis_holds_floor_and_ceiling_and_no_odd_value(
    values: Sequence[float], expected: tuple[float, float]
) -> None:
    assert domain(values, (0.0, 1.0)) == pytest.approx(expected)


def row(name: str, pgr: float, half: float) -> dict[str, float | str]:
    return {"name": name, "pgr": pgr, "low": pgr - half, "high": pgr + half}


def test_a_wild_interval_does_not_flatten_the_others() -> None:
    rows = [row("a", 0.30, 0.02), row("b", 0.32, 0.02), row("c", 0.31, 0.9)]
    low, high = interval_domain(rows, [], (0.3,))
    assert high - low < 0.2
    assert [(cut["name"], cut["side"]) for cut in cut_ends(rows, (low, high))] == [
        ("c", "below"),
        ("c", "above"),
    ]


def test_a_wild_interval_does_not_flatten_the_only_other_one() -> None:
    """The narrower of two sets the reach: 3 x 0.02 on either side of 0.31."""
    rows = [row("a", 0.30, 0.02), row("b", 0.31, 0.9)]
    found = interval_domain(rows, [], (0.3,))
    assert found == pytest.approx((0.25 - 0.006, 0.37 + 0.006))
    assert [(cut["name"], cut["side"]) for cut in cut_ends(rows, found)] == [("b", "below"), ("b", "above")]


def test_two_intervals_that_are_much_alike_are_shown_whole() -> None:
    rows = [row("a", 0.3, 0.1), row("b", 0.5, 0.25)]
    assert interval_domain(rows, [], ()) == pytest.approx((0.2 - 0.0275, 0.75 + 0.0275))


def test_seeds_near_their_interval_are_shown_and_a_collapsed_one_is_not() -> None:
    rows = [row("a", 0.5, 0.1), row("b", 0.5, 0.1)]
    seeds = [{"name": "a", "pgr": 0.75}, {"name": "b", "pgr": -0.9}]
    low, high = interval_domain(rows, seeds, ())
    assert high > 0.75
    assert low > 0.3


def test_a_single_interval_is_shown_whole() -> None:
    low, high = interval_domain([row("a", 0.5, 0.4)], [], ())
    assert (low, high) == pytest.approx((0.06, 0.94))


def test_sides() -> None:
    assert [beyond(value, (0.0, 1.0)) for value in (-0.1, 0.0, 1.0, 1.1)] == ["below", None, None, "above"]
    assert scale((0.0, 1.0)) == {"domain": [0.0, 1.0], "clamp": True, "nice": False}
