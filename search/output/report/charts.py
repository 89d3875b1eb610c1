"""The data of the report's figures: points, lines and bars from a record and the content of result.json."""

from collections.abc import Sequence
from typing import Any

from search.config.schema import RunConfig
from search.ledger.record import Record, TrialRecord
from search.output.outcome_table import has_gap
from search.output.report.facts import Outcome
from search.output.report.facts import pgr as shown_pgr
from search.output.report.figures import (
    Figure,
    importance_figure,
    intervals_figure,
    parallel_figure,
    pgr_scale,
    rungs_figure,
    trials_figure,
)
from search.studies.importance import campaign_importance
from search.studies.parameters import axes, parameters

BEST_BRANCHES, BEST_TRIALS, MOST_AXES = 4, 100, 12

Scored = Sequence[tuple[TrialRecord, float]]


def scored_trials(record: Record) -> Scored:
    """The search trials with the PGR of their best rung."""
    return [(trial, trial.best_pgr) for trial in record.of_purpose("search") if trial.best_pgr is not None]


def charts(
    config: RunConfig, record: Record, outcome: Outcome | None, scored: Scored
) -> dict[str, Figure | None]:
    """Every figure by name; None if there is nothing to draw yet."""
    return {
        "trials": _over_trials(record, outcome),
        "rungs": _by_rung(config, record),
        "parallel": _parallel(record, scored),
        "importance": _importance(scored),
        "finalists": _finalists(outcome) if outcome and has_gap(outcome) else None,
        "gains": _gains(outcome) if outcome and has_gap(outcome) else None,
    }


def _tip(trial: TrialRecord) -> str:
    return f"{trial.trial}, {trial.branch}: PGR {shown_pgr(trial)}, {trial.state or 'running'}"


def _over_trials(record: Record, outcome: Outcome | None) -> Figure | None:
    points: list[dict[str, Any]] = []
    best: list[dict[str, Any]] = []
    graded = [trial for trial in record.trials.values() if not trial.confirms]
    for n, trial in enumerate(graded, start=1):
        top = trial.best
        if top is None or top.pgr is None or top.se is None:
            continue
        kind = "replicate" if trial.purpose == "replicate" else trial.state or "running"
        points.append({"n": n, "pgr": top.pgr, "state": kind, "tip": _tip(trial)})
        if trial.purpose == "search" and (not best or top.pgr > best[-1]["pgr"]):
            best.append({"n": n, "pgr": top.pgr, "low": top.pgr - top.se, "high": top.pgr + top.se})
    if not points:
        return None
    highest = f"the best reaches {best[-1]['pgr']:.3f}" if best else "none of the search has a score"
    alt = f"PGR of {len(points)} trials, each at its best rung, in the order they started; {highest}"
    if best:
        best.append({"n": len(graded), "pgr": best[-1]["pgr"]})
    return trials_figure(alt, points, best, _lines(outcome))


def _lines(outcome: Outcome | None) -> list[dict[str, Any]]:
    naive = []
    if outcome and has_gap(outcome):
        naive = [{"pgr": outcome["naive"]["pgr"], "text": "naive (test split)"}]
    return [{"pgr": 0, "text": "weak floor"}, {"pgr": 1, "text": "ceiling"}, *naive]


def _by_rung(config: RunConfig, record: Record) -> Figure | None:
    curves: list[dict[str, Any]] = []
    ends: list[dict[str, Any]] = []
    for trial in record.of_purpose("search"):
        common = {"trial": trial.trial, "state": trial.state or "running", "tip": _tip(trial)}
        graded = sorted((share, rung.pgr) for share, rung in trial.rungs.items() if rung.pgr is not None)
        line = [common | {"share": share, "pgr": pgr} for share, pgr in graded if trial.state != "failed"]
        curves += line
        ends += line[-1:]
    if not ends:
        return None
    pruned = sum(row["state"] == "pruned" for row in ends)
    alt = f"PGR by share of training, a line a trial: {len(ends)} trials, {pruned} of them stopped early"
    return rungs_figure(alt, curves, ends, config.search.pruning.rungs)


def _parallel(record: Record, scored: Scored) -> Figure | None:
    ranked = sorted(scored, key=lambda pair: pair[1], reverse=True)
    names = list(dict.fromkeys(trial.branch for trial, _ in ranked))[:BEST_BRANCHES]
    kept = [(trial, pgr) for trial, pgr in ranked if trial.branch in names][:BEST_TRIALS]
    methods = [parameters(trial.method) for trial, _ in kept]
    rows = sorted(axes(methods), key=lambda axis: -sum(axis.name in method for method in methods))[:MOST_AXES]
    if not rows:
        return None
    low, high = kept[-1][1], kept[0][1]
    span = high - low or 1.0
    lines = []
    for (trial, pgr), method in zip(kept, methods, strict=True):
        weight = (pgr - low) / span
        common = {"trial": trial.trial, "branch": trial.branch, "weight": weight, "tip": _tip(trial)}
        places = [(axis.name, axis.place(method[axis.name])) for axis in rows if axis.name in method]
        lines += [
            common | {"axis": name, "place": place, "i": i}
            for i, (name, place) in enumerate([*places, ("PGR", weight)])
        ]
    marks = [(axis.name, *mark) for axis in rows for mark in axis.marks()]
    marks += [("PGR", 0.0, f"{low:.3f}"), ("PGR", 1.0, f"{high:.3f}")]
    alt = f"{len(kept)} completed trials of the branches {', '.join(names)}, PGR {low:.3f} to {high:.3f}"
    texts = [
        {"axis": name, "place": place, "text": text, "side": _side(place)} for name, place, text in marks
    ]
    return parallel_figure(alt, lines, texts, [*(axis.name for axis in rows), "PGR"])


def _side(place: float) -> str:
    return {0.0: "left", 1.0: "right"}.get(place, "center")


def _importance(scored: Scored) -> Figure | None:
    shares = campaign_importance([(trial.method, pgr) for trial, pgr in scored])[:MOST_AXES]
    if not shares:
        return None
    bars = [{"name": name, "share": share, "text": f"{share:.0%}"} for name, share in shares]
    first = ", ".join(f"{bar['name']} {bar['text']}" for bar in bars)
    return importance_figure(f"importance of parameters: {first}", bars)


def _finalists(outcome: Outcome) -> Figure:
    named = [(name, "finalist", finalist) for name, finalist in _named(outcome)]
    rows = [_interval(*row, "PGR", ".3f") for row in [("naive", "naive", outcome["naive"]), *named]]
    scale = pgr_scale([value for row in rows for value in (row["low"], row["high"])])
    return intervals_figure("PGR on the test split, 95% interval", rows, _lines(outcome)[:2], scale)


def _gains(outcome: Outcome) -> Figure:
    rows = [
        _interval(name, "finalist", finalist["over_naive"], "over naive", "+.3f")
        for name, finalist in _named(outcome)
    ]
    ends = [value for row in rows for value in (row["low"], row["high"])]
    low, high = max(-2.0, min(0.0, *ends)), min(2.0, max(0.0, *ends))
    margin = 0.05 * (high - low) or 0.05
    scale = {"domain": [low - margin, high + margin], "clamp": True, "nice": False}
    zero = [{"pgr": 0, "text": "naive"}]
    return intervals_figure("PGR above naive, paired, 95% interval", rows, zero, scale)


def _named(outcome: Outcome) -> list[tuple[str, Any]]:
    return [
        (f"{i}. {finalist['branch']}", finalist) for i, finalist in enumerate(outcome["finalists"], start=1)
    ]


def _interval(name: str, kind: str, score: Any, what: str, form: str) -> dict[str, Any]:
    low, high = score["ci95"]
    tip = f"{name}: {what} {score['pgr']:{form}}, 95% interval {low:{form}} to {high:{form}}"
    return {"name": name, "kind": kind, "pgr": score["pgr"], "low": low, "high": high, "tip": tip}
