"""The figures of trials: PGR over trials, curves by rung, training losses, parameters, importance."""

from collections.abc import Sequence
from typing import Any

from search.output.report.axes import beyond, domain, scale
from search.output.report.drawing import (
    HUES,
    MUTE,
    SHAPES,
    Figure,
    Row,
    Spec,
    arrows,
    by_state,
    draw,
    levels,
    reference_lines,
    silent,
)

FLOOR_AND_CEILING = (0.0, 1.0)
APART = 15  # pixels between the numbers of winners


def trials_figure(alt: str, points: Sequence[Row], best: Sequence[Row], lines: Sequence[Row]) -> Figure:
    """PGR of trials in order of their start.

    points: n, pgr, state, tip. best: n, pgr (best so far), low, high (one standard error). lines: pgr,
    text, side.
    """
    across = {"domain": [0, max([1, *(row["n"] for row in points)]) + 1], "nice": False}
    x: Spec = {"field": "n", "type": "quantitative", "title": "trial", "scale": across}
    x["axis"] = {"tickMinStep": 1, "grid": False}
    y, found = _pgr([row["pgr"] for row in points], lines)
    inside, outside = _parted(points, found)
    at_best = {"data": {"values": list(best)}, "encoding": {"x": x, "y": y}}
    rule, *names = reference_lines(lines, "y", y)
    shown = {"x": x, "y": y, "color": by_state(points), "description": {"field": "tip"}}
    return draw(
        alt,
        300,
        [
            rule,
            at_best | {"mark": silent("line", interpolate="step-after", color=HUES[1], strokeWidth=2)},
            {
                "data": {"values": [row for row in best if "low" in row]},
                "mark": silent("rule", color=HUES[1], strokeWidth=1.5),
                "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}},
            },
            {
                "data": {"values": inside},
                "mark": {"type": "point", "filled": True, "size": 42, "opacity": 0.75},
                "encoding": shown | {"shape": by_state(points, SHAPES)},
            },
            *arrows(outside, shown, "y", {}),
            *names,
        ],
    )


def rungs_figure(
    alt: str,
    curves: Sequence[Row],
    ends: Sequence[Row],
    rungs: Sequence[float],
    *,
    winners: Sequence[Row] = (),
    lines: Sequence[Row] = (),
) -> Figure:
    """PGR at each rung, a line per trial. curves: trial, share, pgr, state, tip. ends: last rungs.

    winners: the stops that won, the best first: trial, share, pgr, number, tip. lines: pgr, text, side.
    """
    x: Spec = {"field": "share", "type": "quantitative", "title": "share of the training budget (rungs)"}
    x["scale"] = {"type": "log" if rungs[0] <= 0.2 else "linear", "nice": False}
    x["scale"] |= {"domain": [rungs[0] * 0.95, 1.03]}
    x["axis"] = {"values": list(rungs), "format": ".0%"}
    y, found = _pgr([row["pgr"] for row in curves], lines)
    vivid = max(0.12, min(0.8, 80 / len(ends)))
    fade = {"completed": vivid, "pruned": 0.4 * vivid, "running": vivid}
    opacity: Spec = {"field": "state", "type": "nominal", "legend": None, "scale": levels(fade)}
    common = {"x": x, "y": y, "color": by_state(ends), "opacity": opacity, "description": {"field": "tip"}}
    inside, outside = _parted(ends, found)
    rule, *names = reference_lines(lines, "y", y)
    return draw(
        alt,
        300,
        [
            rule,
            {
                "data": {"values": list(curves)},
                "mark": {"type": "line", "strokeWidth": 1.5},
                "encoding": common | {"detail": {"field": "trial"}},
            },
            {
                "data": {"values": inside},
                "mark": {"type": "point", "filled": True, "size": 30},
                "encoding": common,
            },
            *arrows(outside, common, "y", {}),
            *_winners(curves, _apart(winners, found, 300), x, y),
            *names,
        ],
    )


def _winners(curves: Sequence[Row], winners: Sequence[Row], x: Spec, y: Spec) -> list[Spec]:
    """The curves of the winners up to their stops, a diamond at each stop, and its number."""
    stop = {row["trial"]: row["share"] for row in winners}
    up_to = [row for row in curves if row["share"] <= stop.get(row["trial"], -1.0)]
    if not winners:
        return []
    data = {"data": {"values": list(winners)}}
    number = silent("text", align="left", dx=9, fontSize=13, fontWeight="bold", color=HUES[1])
    return [
        {
            "data": {"values": up_to},
            "mark": silent("line", strokeWidth=2.5, color=HUES[1]),
            "encoding": {"x": x, "y": y, "detail": {"field": "trial"}},
        },
        data
        | {
            "mark": {"type": "point", "shape": "diamond", "filled": True, "size": 90, "color": HUES[1]},
            "encoding": {"x": x, "y": y, "description": {"field": "tip"}},
        },
        data
        | {"mark": number, "encoding": {"x": x, "y": y | {"field": "label"}, "text": {"field": "number"}}},
    ]


def _apart(winners: Sequence[Row], of: tuple[float, float], height: int) -> list[Row]:
    """The winners with the place of their numbers, `label`: at one stop no two stand closer than APART."""
    least = APART / height * (of[1] - of[0])
    placed: list[Row] = []
    below: dict[float, float] = {}
    for row in sorted(winners, key=lambda row: float(row["pgr"])):
        label = max(row["pgr"], below.get(row["share"], -9.0) + least)
        below[row["share"]] = label
        placed.append({**row, "label": label})
    return placed


def losses_figure(alt: str, curves: Sequence[Row], names: Sequence[str]) -> Figure:
    """The training loss over the training, a line a method. curves: name, share, loss. names: in order."""
    looks = dict(zip(names, (MUTE, *HUES), strict=False))
    x: Spec = {"field": "share", "type": "quantitative", "title": "share of the training"}
    x |= {"scale": {"domain": [0, 1], "nice": False}, "axis": {"format": ".0%"}}
    losses = [row["loss"] for row in curves]
    found = domain(losses, (), (min(losses), max(losses)))
    y: Spec = {"field": "loss", "type": "quantitative", "title": "training loss, on weak labels"}
    y |= {"scale": scale(found)}
    color: Spec = {"field": "name", "type": "nominal", "scale": levels(looks)}
    shown = {"x": x, "y": y, "color": color}
    _, outside = _parted(curves, found, "loss")
    cut = [{**row, "tip": f"{row['name']}: loss {row['loss']:.3g} at {row['share']:.0%}"} for row in outside]
    return draw(
        alt,
        240,
        [
            {
                "data": {"values": list(curves)},
                "mark": {"type": "line", "strokeWidth": 2},
                "encoding": shown | {"description": {"field": "name"}},
            },
            *arrows(cut, shown | {"description": {"field": "tip"}}, "y", {}),
        ],
    )


def _pgr(values: Sequence[float], lines: Sequence[Row]) -> tuple[Spec, tuple[float, float]]:
    """The axis of PGR on the search split, and its domain, which holds the lines."""
    found = domain(values, (*FLOOR_AND_CEILING, *(line["pgr"] for line in lines)))
    y: Spec = {"field": "pgr", "type": "quantitative", "title": "PGR on the search split"}
    return y | {"scale": scale(found)}, found


def _parted(
    rows: Sequence[Row], of: tuple[float, float], value: str = "pgr"
) -> tuple[list[Row], list[dict[str, Any]]]:
    """The rows with a value inside the domain, and those beyond it with their side."""
    sides = [beyond(row[value], of) for row in rows]
    inside = [row for row, side in zip(rows, sides, strict=True) if side is None]
    outside = [{**row, "side": side} for row, side in zip(rows, sides, strict=True) if side is not None]
    return inside, outside


def parallel_figure(alt: str, lines: Sequence[Row], marks: Sequence[Row], names: Sequence[str]) -> Figure:
    """A line per trial over a row per parameter. lines: trial, axis, place, i, branch, weight, tip.

    marks: axis, place, text, side. Rows instead of columns keep long names readable on a phone.
    """
    y: Spec = {"field": "axis", "type": "nominal", "sort": list(names), "title": None}
    y |= {"axis": {"grid": True, "ticks": False, "domain": False, "zindex": 1}, "scale": {"padding": 0.5}}
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
            "color": {"field": "branch", "type": "nominal", "scale": levels(hues)},
            "opacity": weight | {"scale": {"domain": [0, 1], "range": [0.25, 0.9]}},
            "strokeWidth": weight | {"scale": {"domain": [0, 1], "range": [1, 2.5]}},
            "description": {"field": "tip"},
        },
    }
    labels = [
        {
            "data": {"values": [row for row in marks if row["side"] == side]},
            "mark": silent("text", align=side, dx=dx, dy=11, fontSize=11, color="var(--mute)"),
            "encoding": {"x": place, "y": y, "text": {"field": "text"}},
        }
        for side, dx in (("left", 5), ("center", 0), ("right", -5))
    ]
    return draw(alt, 44 * len(names), [line, *labels], narrow_height=54 * len(names))


def importance_figure(alt: str, bars: Sequence[Row]) -> Figure:
    """Bars with name, share, low, high (of the share) and text, in the given order."""
    y: Spec = {"field": "name", "type": "nominal", "sort": None, "title": None}
    y["axis"] = {"ticks": False, "domain": False}
    top = max(row["high"] for row in bars)
    x: Spec = {"field": "share", "type": "quantitative", "axis": None, "scale": {"domain": [0, top * 1.3]}}
    data = {"data": {"values": list(bars)}}
    text = silent("text", align="left", dx=6, fontSize=11, color="var(--ink)")
    return draw(
        alt,
        26 * len(bars),
        [
            data | {"mark": silent("bar", color=HUES[0], height=12), "encoding": {"x": x, "y": y}},
            data
            | {
                "mark": silent("rule", color="var(--ink)", strokeWidth=1.5),
                "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}, "y": y},
            },
            data
            | {"mark": text, "encoding": {"x": x | {"field": "high"}, "y": y, "text": {"field": "text"}}},
        ],
        narrow_height=44 * len(bars),
    )
