"""The figures of the report as SVG, rendered by Vega-Lite when the report is written.

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
WIDE, NARROW = 760, 340  # pixels: a desktop's column, and a phone's
HUES = ("var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)")
FAINT = "var(--faint)"
_STATES = {
    "completed": "var(--c1)",
    "pruned": "var(--mute)",
    "running": "var(--c3)",
    "replicate": "var(--c4)",
}
_SHAPES = {"completed": "circle", "pruned": "triangle-down", "running": "square", "replicate": "diamond"}

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
        "padding": {"left": 12, "right": 4, "top": 5, "bottom": 5},  # text is wider in browsers
        "autosize": {"type": "fit-x", "contains": "padding"},
        "background": None,
        "layer": list(layers),
        "config": {
            "font": "system-ui, sans-serif",
            "view": {"stroke": None},
            "axis": lines | letters | {"tickColor": FAINT, "labelLimit": width // 3},
            "legend": {"labelColor": "var(--ink)", "labelFontSize": 12, "title": None, "orient": "top"}
            | {"columns": 4 if width == WIDE else 2, "labelLimit": width // 3, "symbolOpacity": 1},
        },
    }
    text = json.dumps(spec, ensure_ascii=False).encode(errors="replace").decode()  # no lone surrogates
    return Markup(vl_convert.vegalite_to_svg(text, vl_version=VERSION, allowed_base_urls=[]))


def pgr_scale(values: Sequence[float]) -> Spec:
    """A scale that covers weak floor, ceiling and all values; a value beyond -1 or 1.5 lies on the edge."""
    low, high = min([0.0, *values]), max([1.0, *values])
    return {"domain": [max(low, -1.0) - 0.05, min(high, 1.5) + 0.05], "clamp": True, "nice": False}


def trials_figure(alt: str, points: Sequence[Row], best: Sequence[Row], lines: Sequence[Row]) -> Figure:
    """PGR of trials in order of their start.

    points: n, pgr, state, tip. best: n, pgr (best so far), low, high (one standard error). lines: pgr, text.
    """
    x: Spec = {
        "field": "n",
        "type": "quantitative",
        "title": "trial",
        "axis": {"tickMinStep": 1, "grid": False},
    }
    x |= {"scale": {"domain": [0, max([1, *(row["n"] for row in points)]) + 1], "nice": False}}
    y: Spec = {"field": "pgr", "type": "quantitative", "title": "PGR on the search split"}
    y |= {"scale": pgr_scale([row["pgr"] for row in points])}
    at_best = {"data": {"values": list(best)}, "encoding": {"x": x, "y": y}}
    rule, text = _reference_lines(lines, "y", y)
    return draw(
        alt,
        300,
        [
            rule,
            at_best | {"mark": _silent("line", interpolate="step-after", color=HUES[1], strokeWidth=2)},
            {
                "data": {"values": [row for row in best if "low" in row]},
                "mark": _silent("rule", color=HUES[1], strokeWidth=1.5),
                "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}},
            },
            {
                "data": {"values": list(points)},
                "mark": {"type": "point", "filled": True, "size": 42, "opacity": 0.75},
                "encoding": {"x": x, "y": y, "color": _by_state(points), "shape": _by_state(points, _SHAPES)}
                | {"description": {"field": "tip"}},
            },
            text,
        ],
    )


def rungs_figure(alt: str, curves: Sequence[Row], ends: Sequence[Row], rungs: Sequence[float]) -> Figure:
    """PGR at each rung, a line per trial. curves: trial, share, pgr, state, tip. ends: last rungs."""
    x: Spec = {"field": "share", "type": "quantitative", "title": "share of the training budget (rungs)"}
    x |= {
        "scale": {
            "type": "log" if rungs[0] <= 0.2 else "linear",
            "domain": [rungs[0] * 0.95, 1.03],
            "nice": False,
        },
        "axis": {"values": list(rungs), "format": ".0%"},
    }
    y: Spec = {"field": "pgr", "type": "quantitative", "title": "PGR on the search split"}
    y |= {"scale": pgr_scale([row["pgr"] for row in curves])}
    vivid = max(0.12, min(0.8, 80 / len(ends)))
    fade = {"completed": vivid, "pruned": 0.4 * vivid, "running": vivid}
    opacity: Spec = {"field": "state", "type": "nominal", "legend": None, "scale": _scale(fade)}
    common = {"x": x, "y": y, "color": _by_state(ends), "opacity": opacity, "description": {"field": "tip"}}
    return draw(
        alt,
        280,
        [
            {
                "data": {"values": list(curves)},
                "mark": {"type": "line", "strokeWidth": 1.5},
                "encoding": common | {"detail": {"field": "trial"}},
            },
            {
                "data": {"values": list(ends)},
                "mark": {"type": "point", "filled": True, "size": 30},
                "encoding": common,
            },
        ],
    )


def parallel_figure(alt: str, lines: Sequence[Row], marks: Sequence[Row], names: Sequence[str]) -> Figure:
    """A line per trial over a row per parameter. lines: trial, axis, place, i, branch, weight, tip.

    marks: axis, place, text, side. Rows instead of columns keep long names readable on a phone.
    """
    y: Spec = {"field": "axis", "type": "nominal", "sort": list(names), "title": None}
    y |= {"axis": {"grid": True, "ticks": False, "domain": False}, "scale": {"padding": 0.5}}
    place: Spec = {"field": "place", "type": "quantitative", "axis": None, "scale": {"domain": [-0.03, 1.03]}}
    branches = list(dict.fromkeys(row["branch"] for row in lines))
    hues = dict(zip(branches, HUES, strict=False))
    weight: Spec = {"field": "weight", "type": "quantitative", "legend": None}
    line = {
        "data": {"values": list(lines)},
        "mark": {"type": "line", "strokeJoin": "round"},
        "encoding": {
            "x": place,
            "y": y,
            "order": {"field": "i"},
            "detail": {"field": "trial"},
            "color": {"field": "branch", "type": "nominal", "scale": _scale(hues)},
            "opacity": weight | {"scale": {"domain": [0, 1], "range": [0.25, 0.9]}},
            "strokeWidth": weight | {"scale": {"domain": [0, 1], "range": [1, 2.5]}},
            "description": {"field": "tip"},
        },
    }
    labels = [
        {
            "data": {"values": [row for row in marks if row["side"] == side]},
            "mark": _silent("text", align=side, dx=dx, dy=11, fontSize=11, color="var(--mute)"),
            "encoding": {"x": place, "y": y, "text": {"field": "text"}},
        }
        for side, dx in (("left", 5), ("center", 0), ("right", -5))
    ]
    return draw(alt, 44 * len(names), [line, *labels])


def importance_figure(alt: str, bars: Sequence[Row]) -> Figure:
    """Bars with name, share and text, in the given order."""
    y: Spec = {
        "field": "name",
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {"ticks": False, "domain": False},
    }
    top = max(row["share"] for row in bars)
    x: Spec = {"field": "share", "type": "quantitative", "axis": None, "scale": {"domain": [0, top * 1.2]}}
    data = {"data": {"values": list(bars)}}
    return draw(
        alt,
        24 * len(bars),
        [
            data | {"mark": _silent("bar", color=HUES[0], height=14), "encoding": {"x": x, "y": y}},
            data
            | {
                "mark": _silent("text", align="left", dx=4, fontSize=11, color="var(--ink)"),
                "encoding": {"x": x, "y": y, "text": {"field": "text"}},
            },
        ],
    )


def intervals_figure(title: str, rows: Sequence[Row], lines: Sequence[Row], scale: Spec) -> Figure:
    """A row per method with its point and interval, on an axis with this title and scale.

    rows: name, pgr, low, high, kind, tip. lines: pgr, text.
    """
    y: Spec = {
        "field": "name",
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {"ticks": False, "grid": False},
    }
    x: Spec = {"field": "pgr", "type": "quantitative", "title": title, "scale": scale}
    x["axis"] = {"tickMinStep": 0.1}
    color: Spec = {"field": "kind", "type": "nominal", "legend": None}
    color |= {"scale": _scale({"naive": "var(--mute)", "finalist": HUES[0]})}
    common = {"data": {"values": list(rows)}}
    shared = {"y": y, "color": color, "description": {"field": "tip"}}
    rule, text = _reference_lines(lines, "x", x)
    return draw(
        "; ".join(row["tip"] for row in rows),
        44 * len(rows) + 20,
        [
            rule,
            common
            | {
                "mark": {"type": "rule", "strokeWidth": 3, "strokeCap": "round"},
                "encoding": shared | {"x": x | {"field": "low"}, "x2": {"field": "high"}},
            },
            common | {"mark": {"type": "point", "filled": True, "size": 110}, "encoding": shared | {"x": x}},
            text,
        ],
    )


def _reference_lines(lines: Sequence[Row], channel: str, position: Spec) -> list[Spec]:
    """The lines, and their names, which are drawn over everything else."""
    data = {"data": {"values": list(lines)}}
    across = {"x": {"value": "width"}} if channel == "y" else {"y": {"value": 0}}
    text = _silent("text", fontSize=11, color="var(--mute)", align="right", dy=-6, dx=-3)
    return [
        data
        | {
            "mark": _silent("rule", strokeDash=[4, 4], color="var(--mute)"),
            "encoding": {channel: position},
        },
        data | {"mark": text, "encoding": {channel: position, **across, "text": {"field": "text"}}},
    ]


def _silent(kind: str, **look: object) -> Spec:
    """A mark hidden from screen readers, because it repeats what other marks say."""
    return {"type": kind, "aria": False, **look}


def _by_state(rows: Sequence[Row], values: Mapping[str, str] = _STATES) -> Spec:
    present = {row["state"] for row in rows}
    scale = _scale({state: value for state, value in values.items() if state in present})
    return {"field": "state", "type": "nominal", "scale": scale}


def _scale(values: Mapping[str, Any]) -> Spec:
    return {"domain": list(values), "range": list(values.values())}
