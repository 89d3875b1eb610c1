"""Drawing: legends and names that are not cut."""

import re

from search.output.report.drawing import draw, levels

LONG = "a-branch-with-a-name-of-forty-characters-or-so"


def figure(names: list[str], width: str) -> str:
    color = {"field": "name", "type": "nominal", "scale": levels(dict.fromkeys(names, "var(--c1)"))}
    y = {"field": "name", "type": "nominal", "sort": None}
    rows = [{"name": name, "x": i} for i, name in enumerate(names)]
    layer = {
        "data": {"values": rows},
        "mark": "point",
        "encoding": {"x": {"field": "x"}, "y": y, "color": color},
    }
    return str(getattr(draw("alt", 44 * len(names), [layer]), width))


def test_long_names_are_whole_in_the_legend_and_beside_or_above_their_rows() -> None:
    names = [LONG, LONG[::-1]]
    for width in ("wide", "narrow"):
        found = re.findall(r">([^<>]+)</text>", figure(names, width))
        assert [found.count(name) for name in names] == [2, 2]  # on the axis and in the legend
        assert not any("…" in text for text in found)


def test_a_legend_has_as_many_columns_as_there_is_place_for() -> None:
    assert legend_rows(["a", "b", "c"], "wide") == 1
    assert legend_rows(["a" * 40, "b" * 40, "c" * 40], "wide") == 2
    assert legend_rows([LONG, LONG + "2", LONG + "3"], "narrow") == 3


def legend_rows(names: list[str], width: str) -> int:
    """How many different heights the names of the legend have."""
    legend = figure(names, width).partition("role-legend-entry")[2]
    tops = re.findall(r'translate\([\d.]+,([\d.]+)\)"><path class="background"[^>]* d="M0,0h[1-9]', legend)
    return len(set(tops[: len(names)]))
