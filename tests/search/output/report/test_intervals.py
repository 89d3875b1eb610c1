"""Intervals read back from their SVG: ends, seeds, and what the axis cuts."""

import re
import xml.etree.ElementTree as ET

import pytest

from search.output.report.drawing import Figure
from search.output.report.intervals import intervals_figure

LINES = [{"pgr": 0, "text": "weak floor"}]
ROW = {"name": "naive", "kind": "naive", "pgr": 0.5, "low": 0.2, "high": 0.7, "tip": "naive: PGR 0.500"}


def marks(figure: Figure, role: str) -> list[ET.Element]:
    """The marks of this role of the wide drawing."""
    return [mark for mark in ET.fromstring(figure.wide).iter() if mark.get("aria-roledescription") == role]


def x(element: ET.Element) -> float:
    """Where a mark lies, in pixels from the left."""
    found = re.match(r"translate\(([-\d.]+),", element.get("transform", ""))
    assert found
    return float(found[1])


def test_an_interval_spans_its_ends_around_its_point() -> None:
    figure = intervals_figure("PGR", [ROW, ROW | {"name": "1. one", "tip": "one"}], [], LINES, (0.0, 1.0))
    assert figure.alt == "naive: PGR 0.500; one"
    [point, _], [rule, _] = marks(figure, "point"), marks(figure, "rule mark")
    left, width = x(rule), float(rule.get("x2", "0"))
    ends = sorted((left, left + width))
    assert (x(point) - ends[0]) / (ends[1] - ends[0]) == pytest.approx((0.5 - 0.2) / (0.7 - 0.2))


def test_every_seed_is_a_point_and_one_beyond_the_axis_an_arrow() -> None:
    seeds = [
        {"name": "naive", "kind": "naive", "pgr": pgr, "tip": f"seed {pgr}"} for pgr in (0.25, 0.5, -4.0)
    ]
    figure = intervals_figure("PGR", [ROW], seeds, LINES, (0.0, 1.0))
    drawn = {mark.get("aria-label"): mark for mark in marks(figure, "point")}
    assert set(drawn) == {"naive: PGR 0.500", "seed 0.25", "seed 0.5", "seed -4.0"}
    assert x(drawn["seed 0.5"]) == pytest.approx(x(drawn["naive: PGR 0.500"]))
    assert x(drawn["seed -4.0"]) == pytest.approx(5)  # inside the edge
    assert drawn["seed -4.0"].get("d") != drawn["seed 0.5"].get("d")


def test_an_interval_that_the_axis_cuts_has_an_arrow_there() -> None:
    def drawn(low: float) -> int:
        figure = intervals_figure("PGR", [ROW | {"low": low}], [], [], (0.0, 1.0))
        return len([mark for mark in ET.fromstring(figure.wide).iter() if mark.get("aria-hidden") == "true"])

    assert drawn(-3.0) > drawn(0.1)
