"""The figure of confirmed methods: points with intervals, and the points of their seeds."""

from collections.abc import Sequence

from search.output.report.axes import Domain, beyond, cut_ends, scale
from search.output.report.drawing import HUES, MUTE, Figure, Row, Spec, arrows, draw, levels, reference_lines

SEEDS_BELOW = 13  # pixels


def intervals_figure(
    title: str, rows: Sequence[Row], seeds: Sequence[Row], lines: Sequence[Row], of: Domain
) -> Figure:
    """A row per method with its point and interval, on an axis with this title and domain.

    rows: name, pgr, low, high, kind, tip. seeds: name, pgr, kind, tip of every seed, drawn below its
    interval. lines: pgr, text. What lies beyond the domain has an arrow on its edge.
    """
    y: Spec = {"field": "name", "type": "nominal", "sort": None, "title": None}
    y["axis"] = {"ticks": False, "grid": False}
    x: Spec = {"field": "pgr", "type": "quantitative", "title": title, "scale": scale(of)}
    x["axis"] = {"tickMinStep": 0.1} if of[1] - of[0] > 0.5 else {}
    color: Spec = {"field": "kind", "type": "nominal", "legend": None}
    color |= {"scale": levels({"naive": MUTE, "finalist": HUES[0]})}
    common = {"data": {"values": list(rows)}}
    shared = {"y": y, "color": color, "description": {"field": "tip"}}
    inside = [row for row in seeds if beyond(row["pgr"], of) is None]
    outside = [{**row, "side": side} for row in seeds if (side := beyond(row["pgr"], of))]
    below = {"yOffset": SEEDS_BELOW}
    rule, *names = reference_lines(lines, "x", x)
    return draw(
        "; ".join(row["tip"] for row in rows),
        56 * len(rows) + 10,
        [
            rule,
            common
            | {
                "mark": {"type": "rule", "strokeWidth": 3, "strokeCap": "round"},
                "encoding": shared | {"x": x | {"field": "low"}, "x2": {"field": "high"}},
            },
            *arrows(cut_ends(rows, of), {"x": x, "y": y}, "x", {"aria": False, "color": MUTE}),
            {
                "data": {"values": inside},
                "mark": {"type": "point", "size": 26, "opacity": 0.8, "strokeWidth": 1.2} | below,
                "encoding": shared | {"x": x},
            },
            *arrows(outside, shared | {"x": x}, "x", {"size": 45} | below),
            common | {"mark": {"type": "point", "filled": True, "size": 110}, "encoding": shared | {"x": x}},
            *names,
        ],
    )
