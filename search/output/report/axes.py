"""Axes that a wild value does not flatten: their domains, and the marks of what lies beyond them."""

from collections.abc import Mapping, Sequence
from statistics import median_low, quantiles
from typing import Any

FENCE = 3.0  # quartile distances beyond the quartiles: Tukey's far out
HALF_WIDTHS = 3.0  # of the median interval, of two the narrower: as far as an interval widens its axis
LOWEST, HIGHEST = -1.0, 1.5  # no axis of PGR shows more
MARGIN = 0.05

Domain = tuple[float, float]


def domain(values: Sequence[float], include: Sequence[float], bounds: Domain = (LOWEST, HIGHEST)) -> Domain:
    """The range of an axis: all values but those far out, and `include`, within the bounds; with a margin.

    Four values or fewer are never far out, nor is anything where half of the values are the same.
    """
    return _padded([*_near(values), *include], bounds)


def _padded(kept: Sequence[float], bounds: Domain) -> Domain:
    low, high = max(min(kept), bounds[0]), min(max(kept), bounds[1])
    margin = MARGIN * (high - low) or MARGIN
    return low - margin, high + margin


def _near(values: Sequence[float]) -> list[float]:
    if len(values) <= 4:
        return list(values)
    first, _, third = quantiles(values, n=4, method="inclusive")
    reach = FENCE * (third - first)
    return [value for value in values if not reach or first - reach <= value <= third + reach]


def interval_domain(
    rows: Sequence[Mapping[str, Any]],
    seeds: Sequence[Mapping[str, Any]],
    include: Sequence[float],
    bounds: Domain = (LOWEST, HIGHEST),
) -> Domain:
    """The range of an axis with intervals and seeds: what is much wider than the others does not widen it.

    rows: name, pgr, low, high. seeds: name and pgr, of points that belong to the row of that name.
    """
    reach = HALF_WIDTHS * median_low((row["high"] - row["low"]) / 2 for row in rows)
    ends = [max(row["low"], row["pgr"] - reach) for row in rows]
    ends += [min(row["high"], row["pgr"] + reach) for row in rows]
    middle = {row["name"]: row["pgr"] for row in rows}
    near = [seed["pgr"] for seed in seeds if abs(seed["pgr"] - middle[seed["name"]]) <= reach]
    return _padded([*ends, *near, *include], bounds)


def scale(of: Domain) -> dict[str, Any]:
    """The scale of a domain; what lies beyond it lies on its edge."""
    return {"domain": list(of), "clamp": True, "nice": False}


def beyond(value: float, of: Domain) -> str | None:
    """`below` or `above` for a value outside the domain, None for one inside."""
    return "below" if value < of[0] else "above" if value > of[1] else None


def cut_ends(rows: Sequence[Mapping[str, Any]], of: Domain) -> list[dict[str, Any]]:
    """A mark for every end of an interval that the axis cuts: the row's name, pgr (the edge) and side."""
    return [
        {"name": row["name"], "pgr": of[0] if side == "below" else of[1], "side": side}
        for row in rows
        for end in ("low", "high")
        if (side := beyond(row[end], of))
    ]
