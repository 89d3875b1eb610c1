"""Drawing by Vega-Lite when the report is written: layers in, SVG for a desktop and a phone out.

They need neither script nor network. Colours are the page's variables, so that a figure serves dark, light
and print. Text from a model enters a figure only as data, which Vega escapes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import vl_convert
from markupsafe import Markup

VERSION = "6.4"  # of Vega-Lite
WIDE, NARROW = 900, 340  # pixels: a desktop's column, and a phone's
HUES = ("var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)")
MUTE = "var(--mute)"
FAINT = "var(--faint)"
STATES = {
    "completed": "var(--c1)",
    "pruned": "var(--mute)",
    "running": "var(--c3)",
    "replicate": "var(--c4)",
}
SHAPES = {"completed": "circle", "pruned": "triangle-down", "running": "square", "replicate": "diamond"}

Spec = dict[str, Any]
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure at both widths, and a sentence that says what it shows."""

    alt: str
    wide: Markup
    narrow: Markup


def draw(alt: str, height: int, layers: Sequence[Spec], narrow_height: int | None = None) -> Figure:
    """A figure of these layers."""
    return Figure(
        alt=alt,
        wide=_svg(WIDE, height, layers),
        narrow=_svg(NARROW, narrow_height or height, layers),
    )


def _svg(width: int, height: int, layers: Sequence[Spec]) -> Markup:
    lines = {"labelColor": "var(--ink)", "titleColor": "var(--ink)", "gridColor": FAINT, "domainColor": FAINT}
    letters = {"labelFontSize": 12, "labelPadding": 5, "titleFontSize": 12, "titleFontWeight": "normal"}
    spec = {
        "width": width,
        "height": height,
        "padding": {"left": _left(width, layers), "right": 16, "top": 5, "bottom": 5},
        "autosize": {"type": "fit-x", "contains": "padding"},
        "background": None,
        "layer": list(layers),
        "config": {
            "font": "system-ui, sans-serif",
            "view": {"stroke": None},
            "axis": lines | letters | {"tickColor": FAINT, "labelLimit": width // 2},
            "axisQuantitative": {"labelOverlap": True, "labelSeparation": 9},
            "legend": {"labelColor": "var(--ink)", "labelFontSize": 12, "title": None, "orient": "top"}
            | {
                "columns": _columns(width, layers),
                "labelLimit": width - 50,
                "symbolOpacity": 1,
                "columnPadding": 24,
            },
            **(_ABOVE if width == NARROW else {}),
        },
    }
    text = json.dumps(spec, ensure_ascii=False).encode(errors="replace").decode()  # no lone surrogates
    return Markup(vl_convert.vegalite_to_svg(text, vl_version=VERSION, allowed_base_urls=[]))


# On a phone the names of rows stand above them, where a long one has the whole width.
_NAMES = {"labelAlign": "left", "labelPadding": 0, "labelOffset": -15, "labelLimit": NARROW - 30}
_ABOVE = {"axisYPoint": _NAMES, "axisYBand": _NAMES}
LETTER, SYMBOL = 7.5, 40  # pixels of a letter of a legend at most, and of a symbol with its margins


def _left(width: int, layers: Sequence[Spec]) -> int:
    """The left margin: browsers show names of rows wider than Vega measures, by at most a pixel a letter."""
    of_rows = {
        channel["field"]
        for layer in layers
        if (channel := layer.get("encoding", {}).get("y", {})).get("type") == "nominal"
    }
    names = [str(row.get(field, "")) for layer in layers for row in _values(layer) for field in of_rows]
    return 12 + (max(map(len, names), default=0) if width == WIDE else 0)


def _values(layer: Spec) -> Sequence[Row]:
    values: Sequence[Row] = layer.get("data", {}).get("values", ())
    return values


def _columns(width: int, layers: Sequence[Spec]) -> int:
    """As many columns of the legend as its longest name leaves place for."""
    colors = [layer.get("encoding", {}).get("color", {}) for layer in layers]
    named = [name for color in colors for name in color.get("scale", {}).get("domain", ())]
    longest = max((len(str(name)) for name in named), default=1)
    return int(max(1, min(4, (width - 80) // (longest * LETTER + SYMBOL))))


def arrows(rows: Sequence[Row], encoding: Spec, channel: str, look: Spec) -> list[Spec]:
    """Arrows at the edge for what lies beyond an axis: rows with a side, `below` or `above`."""
    shapes = {"x": ("triangle-left", "triangle-right"), "y": ("triangle-down", "triangle-up")}[channel]
    inwards = {"x": ("xOffset", 5), "y": ("yOffset", -5)}[channel]
    return [
        {
            "data": {"values": found},
            "mark": {
                "type": "point",
                "shape": shape,
                "filled": True,
                "size": 70,
                inwards[0]: sign * inwards[1],
            }
            | look,
            "encoding": encoding,
        }
        for side, shape, sign in zip(("below", "above"), shapes, (1, -1), strict=True)
        if (found := [row for row in rows if row["side"] == side])
    ]


def reference_lines(lines: Sequence[Row], channel: str, position: Spec) -> list[Spec]:
    """The lines, and their names, which are drawn over everything else.

    A name stands at the right, or at the left where `side` of a line says so: it may lie near another line.
    """
    rule = silent("rule", strokeDash=[4, 4], color="var(--mute)")
    found: list[Spec] = [
        {"data": {"values": list(lines)}, "mark": rule, "encoding": {channel: position}},
    ]
    for side, end, dx in (("right", "width", -3), ("left", 0, 3)):
        named = [line for line in lines if line.get("side", "right") == side]
        across = {"x": {"value": end}} if channel == "y" else {"y": {"value": 0}}
        text = silent("text", fontSize=11, color="var(--mute)", align=side, dy=-6, dx=dx)
        encoding = {channel: position, **across, "text": {"field": "text"}}
        found += [{"data": {"values": named}, "mark": text, "encoding": encoding}] if named else []
    return found


def silent(kind: str, **look: object) -> Spec:
    """A mark hidden from screen readers, because it repeats what other marks say."""
    return {"type": kind, "aria": False, **look}


def by_state(rows: Sequence[Row], values: Mapping[str, str] = STATES) -> Spec:
    """A colour, or another look, for the state of a row; the legend names those that occur."""
    present = {row["state"] for row in rows}
    scale = levels({state: value for state, value in values.items() if state in present})
    return {"field": "state", "type": "nominal", "scale": scale}


def levels(values: Mapping[str, Any]) -> Spec:
    """A scale that gives every name its look."""
    return {"domain": list(values), "range": list(values.values())}
