"""Figures read back from their SVG: where marks lie, and what they say."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from search.output.report.drawing import HUES, MUTE, NARROW, WIDE, Figure
from search.output.report.figures import (
    importance_figure,
    losses_figure,
    parallel_figure,
    rungs_figure,
    trials_figure,
)

HOSTILE = '</svg><script>alert(1)</script> & "quoted" \u202e \ud800'
LINES = [{"pgr": 0, "text": "weak floor"}, {"pgr": 1, "text": "ceiling"}]


def marks(figure: Figure, role: str) -> list[ET.Element]:
    """The marks of this role, such as "point", of the wide drawing."""
    found = ET.fromstring(figure.wide).iter()
    return [element for element in found if element.get("aria-roledescription") == role]


def place(element: ET.Element) -> tuple[float, float]:
    """Where a mark lies: x and y, in pixels from the top left."""
    found = re.match(r"translate\(([-\d.]+),([-\d.]+)\)", element.get("transform", ""))
    assert found, element.attrib
    return float(found[1]), float(found[2])


def texts(figure: Figure) -> list[str]:
    return [
        element.text or "" for element in ET.fromstring(figure.wide).iter() if element.tag.endswith("text")
    ]


def trials(*pgrs: float, tip: str = "tip", state: str = "completed") -> Figure:
    points = [{"n": n, "pgr": pgr, "state": state, "tip": tip} for n, pgr in enumerate(pgrs, start=1)]
    return trials_figure("alt", points, [], LINES)


def test_points_lie_where_their_numbers_say() -> None:
    """The axis of 300 pixels holds -0.05 to 1.05, that of trials 0 to one more than there are."""
    *near, far = map(place, marks(trials(0.5, 0.25, 0.3, 0.4, 0.5, -9.0), "point"))
    assert near[0][1] == pytest.approx((1.05 - 0.5) / 1.1 * 300)
    assert near[1][1] == pytest.approx((1.05 - 0.25) / 1.1 * 300)
    assert near[1][0] == pytest.approx(2 * near[0][0])
    assert far == pytest.approx((6 * near[0][0], 300 - 5))  # an arrow inside the edge


def test_what_lies_beyond_the_axis_is_an_arrow_that_says_its_own_number() -> None:
    points = [{"n": n, "pgr": 0.5 + n / 100, "state": "completed", "tip": ""} for n in range(5)]
    figure = trials_figure("alt", [*points, {"n": 5, "pgr": 7.0, "state": "pruned", "tip": "t5: 7"}], [], [])
    *inside, outside = marks(figure, "point")
    assert outside.get("aria-label") == "t5: 7"
    assert outside.get("d") not in {mark.get("d") for mark in inside}


def test_the_best_so_far_is_a_staircase_with_its_errors() -> None:
    points = [{"n": n, "pgr": 0.5, "state": "completed", "tip": ""} for n in (1, 2, 3)]
    best = [{"n": 1, "pgr": 0.2, "low": 0.1, "high": 0.3}, {"n": 3, "pgr": 0.2}]
    drawn = ET.fromstring(trials_figure("alt", points, best, []).wide)
    [error] = [mark for mark in drawn.iter() if mark.get("stroke") == HUES[1] and mark.tag.endswith("line")]
    assert place(error)[1] == pytest.approx((1.05 - 0.1) / 1.1 * 300)
    assert float(error.get("y2", "")) == pytest.approx(-0.2 / 1.1 * 300)
    [stairs] = [mark for mark in drawn.iter() if mark.get("stroke") == HUES[1] and mark.tag.endswith("path")]
    assert stairs.get("d", "").count("L") == 2


def test_a_figure_comes_in_two_widths_and_says_what_it_shows() -> None:
    figure = trials(0.5)
    assert figure.alt == "alt"
    widths = [float(ET.fromstring(svg).get("width", "")) for svg in (figure.wide, figure.narrow)]
    assert widths == [WIDE, NARROW]


def test_states_differ_by_colour_and_shape_and_only_those_present_are_explained() -> None:
    points = [
        {"n": n, "pgr": 0.5, "state": state, "tip": state}
        for n, state in enumerate(("completed", "pruned", "replicate"))
    ]
    figure = trials_figure("alt", points, [], [])
    drawn = {mark.get("aria-label"): (mark.get("fill"), mark.get("d")) for mark in marks(figure, "point")}
    assert len(set(drawn.values())) == 3
    assert {"completed", "pruned", "replicate"} <= set(texts(figure))
    assert "running" not in texts(figure)


def test_what_a_model_wrote_is_text_and_nothing_else() -> None:
    figure = trials(0.5, tip=HOSTILE)
    for svg in (figure.wide, figure.narrow):
        root = ET.fromstring(svg)
        assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
            "svg",
            "g",
            "path",
            "line",
            "text",
        }
        assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)
    [point] = marks(figure, "point")
    assert point.get("aria-label") == HOSTILE.replace("\ud800", "?")


def test_rungs_lie_on_a_log_axis_where_the_first_is_early() -> None:
    rungs = (1 / 9, 1 / 3, 1.0)
    rows = [
        {"trial": "t1", "share": share, "pgr": 0.1 * n, "state": "completed", "tip": ""}
        for n, share in enumerate(rungs)
    ]
    early, middle, last = (place(mark)[0] for mark in marks(rungs_figure("alt", rows, rows, rungs), "point"))
    assert middle - early == pytest.approx(last - middle, rel=1e-3)  # equal factors
    halves = [row | {"share": share} for row, share in zip(rows, (0.5, 0.75, 1.0), strict=True)]
    first, second, third = (
        place(mark)[0] for mark in marks(rungs_figure("alt", halves, halves, (0.5, 0.75, 1.0)), "point")
    )
    assert second - first == pytest.approx(third - second, rel=1e-3)  # equal steps


def test_winners_have_a_mark_at_their_stop_and_numbers_that_do_not_overlap() -> None:
    rungs = (1 / 3, 1.0)
    rows = [
        {"trial": trial, "share": share, "pgr": pgr, "state": "completed", "tip": trial}
        for trial, pgr in (("t1", 0.5), ("t2", 0.501))
        for share in rungs
    ]
    ends = [row for row in rows if row["share"] == 1.0]
    won = [{**row, "number": str(n), "tip": f"stop {n}"} for n, row in enumerate(ends, start=1)]
    figure = rungs_figure("alt", rows, ends, rungs, winners=won)
    stops = [mark for mark in marks(figure, "point") if str(mark.get("aria-label")).startswith("stop")]
    assert [mark.get("fill") for mark in stops] == [HUES[1]] * 2
    drawn = ET.fromstring(figure.wide).iter()
    heights = [place(mark)[1] for mark in drawn if mark.tag.endswith("text") and mark.text in ("1", "2")]
    assert abs(heights[0] - heights[1]) >= 14


def test_lines_lie_at_their_pgr_in_both_figures_even_far_from_the_trials() -> None:
    """The axis of 300 pixels holds the line at -0.45, though no trial is below 0."""
    lines = [{"pgr": -0.45, "text": "naive", "side": "left"}]
    rows = [{"trial": "t1", "n": 1, "share": 1.0, "pgr": 0.5, "state": "completed", "tip": ""}]
    margin = 0.05 * 1.45
    height = (1 + margin + 0.45) / (1.45 + 2 * margin) * 300
    for figure in (
        trials_figure("alt", rows, [], lines),
        rungs_figure("alt", rows, rows, (1 / 3, 1.0), lines=lines),
    ):
        drawn = ET.fromstring(figure.wide).iter()
        [dashed] = [mark for mark in drawn if mark.get("stroke-dasharray") == "4,4"]
        assert place(dashed)[1] == pytest.approx(height)
        assert "naive" in texts(figure)


def test_losses_are_a_line_a_method() -> None:
    rows = [{"name": name, "share": x, "loss": 1 - x} for name in ("naive", "1. one") for x in (0.1, 0.9)]
    lines = marks(losses_figure("alt", rows, ["naive", "1. one"]), "line mark")
    assert [line.get("stroke") for line in lines] == [MUTE, HUES[0]]


def test_a_loss_beyond_its_axis_is_an_arrow_that_says_the_loss() -> None:
    """Quartiles of 0.45 and 0.6 put 30 far out: its arrow lies inside the upper edge."""
    losses = (30.0, 0.6, 0.6, 0.5, 0.4, 0.4, 0.5)
    rows = [{"name": "naive", "share": n / 10, "loss": loss} for n, loss in enumerate(losses, start=1)]
    figure = losses_figure("alt", rows, ["naive"])
    [arrow] = marks(figure, "point")
    assert arrow.get("aria-label") == "naive: loss 30 at 10%"
    assert arrow.get("fill") == MUTE
    assert place(arrow)[1] == pytest.approx(5)
    assert marks(losses_figure("alt", rows[1:], ["naive"]), "point") == []


def test_bars_are_as_long_as_their_shares() -> None:
    bars = [
        {"name": "optim.adamw.lr", "share": 0.75, "low": 0.6, "high": 0.8, "text": "75%"},
        {"name": "loss", "share": 0.25, "low": 0.2, "high": 0.4, "text": "25%"},
    ]
    drawn = ET.fromstring(importance_figure("alt", bars).wide)
    lengths = [
        float(found[1])
        for mark in drawn.iter()
        if mark.get("fill") == HUES[0] and (found := re.search(r"h([\d.]+)v", mark.get("d", "")))
    ]
    assert lengths[0] / lengths[1] == pytest.approx(3)
    assert {"75%", "25%", "optim.adamw.lr"} <= set(texts(importance_figure("alt", bars)))


def test_a_trial_is_a_line_over_its_axes_and_branches_differ_by_colour() -> None:
    rows = [
        {"trial": trial, "axis": axis, "place": at, "i": i, "branch": branch, "weight": at, "tip": trial}
        for trial, branch, at in (("t1", "one", 0.0), ("t2", "two", 1.0))
        for i, axis in enumerate(("lr", "PGR"))
    ]
    labels = [{"axis": "lr", "place": 0.0, "text": "0.001", "side": "left"}]
    figure = parallel_figure("alt", rows, labels, ["lr", "PGR"])
    lines = marks(figure, "line mark")
    assert [line.get("aria-label") for line in lines] == ["t1", "t2"]
    assert [line.get("stroke") for line in lines] == list(HUES[:2])
    assert {"lr", "PGR", "0.001", "one", "two"} <= set(texts(figure))
    xs = [[float(x) for x in re.findall(r"[ML]([\d.]+),", line.get("d", ""))] for line in lines]
    assert all(left == right for line in xs for left, right in pairwise(line))  # the same place on both axes
    assert xs[0][0] < xs[1][0]
