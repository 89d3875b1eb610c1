"""The data of the report's figures: points, lines and bars from a record and the content of result.json."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from search.config.schema import RunConfig
from search.engine.compared.naive import naive_search_pgr
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from search.output.outcome_table import has_gap
from search.output.report.axes import interval_domain
from search.output.report.drawing import Figure
from search.output.report.facts import pgr as shown_pgr
from search.output.report.figures import (
    importance_figure,
    losses_figure,
    parallel_figure,
    rungs_figure,
    trials_figure,
)
from search.output.report.intervals import intervals_figure
from search.output.result import Outcome
from search.studies.importance import importance_with_uncertainty
from search.studies.parameters import axes, parameters
from trainers.method import Method

BEST_BRANCHES, BEST_TRIALS, MOST_AXES = 4, 100, 12

Scored = Sequence[tuple[TrialRecord, float]]
Lines = Sequence[Mapping[str, Any]]  # across a figure: pgr, text, side


def scored_trials(record: Record) -> Scored:
    """The search trials with the PGR of their best rung."""
    return [(trial, trial.best_pgr) for trial in record.of_purpose("search") if trial.best_pgr is not None]


def charts(
    config: RunConfig, record: Record, outcome: Outcome | None, scored: Scored
) -> dict[str, Figure | None]:
    """Every figure by name; None if there is nothing to draw yet."""
    lines = _search_lines(config, record)
    return {
        "trials": _over_trials(record, lines),
        "rungs": _by_rung(config, record, outcome, lines),
        "losses": _losses(config, record, outcome),
        "parallel": _parallel(record, scored),
        "importance": _importance(scored),
        "finalists": _finalists(outcome) if outcome and has_gap(outcome) else None,
        "gains": _gains(outcome) if outcome and has_gap(outcome) else None,
    }


def _tip(trial: TrialRecord) -> str:
    return f"{trial.trial}, {trial.branch or 'naive'}: PGR {shown_pgr(trial)}, {trial.state or 'running'}"


def _over_trials(record: Record, lines: Lines) -> Figure | None:
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
    return trials_figure(alt, points, best, lines)


FLOOR_AND_CEILING = ({"pgr": 0, "text": "weak floor"}, {"pgr": 1, "text": "ceiling"})


def _search_lines(config: RunConfig, record: Record) -> Lines:
    """Floor, ceiling and, once it was trained there, naive on the search split."""
    naive = naive_search_pgr(config, record)
    of_naive = [] if naive is None else [{"pgr": naive, "text": "naive (search split)", "side": "left"}]
    return [*FLOOR_AND_CEILING, *of_naive]


def _by_rung(config: RunConfig, record: Record, outcome: Outcome | None, lines: Lines) -> Figure | None:
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
    winners = list(_winners(record, outcome))
    won = "".join(f"; {row['tip']}" for row in winners)
    return rungs_figure(
        alt + won,
        curves,
        ends,
        config.search.pruning.rungs,
        winners=winners,
        lines=lines,
    )


def _winners(record: Record, outcome: Outcome | None) -> Iterator[dict[str, Any]]:
    """The stop of each finalist in the search; before there are any, that of the best trial."""
    if outcome is None:
        best = record.best()
        known = [] if best is None else [(1, best, "the best so far")]
    else:
        searched = {trial.best_method.digest: trial for trial in record.of_purpose("search")}
        known = [
            (number, trial, finalist["branch"])
            for number, finalist in enumerate(outcome["finalists"], start=1)
            if (trial := searched.get(_digest(finalist) or ""))
        ]
    for number, trial, name in known:
        if trial.best is not None and trial.state != "failed":
            tip = f"{number}. {name} stopped at {trial.best.share:.0%}: {trial.trial}, PGR {shown_pgr(trial)}"
            at = {"share": trial.best.share, "pgr": trial.best.pgr}
            yield {"trial": trial.trial, "number": str(number), "tip": tip} | at


def _digest(confirmed: Mapping[str, Any]) -> str | None:
    method = confirmed.get("method")
    return Method.model_validate(method).digest if method else None


def _losses(config: RunConfig, record: Record, outcome: Outcome | None) -> Figure | None:
    """Naive and the finalists, mean over the seeds of the confirmation; before it, the best branches."""
    groups: dict[str, list[TrialRecord]] = {}
    if outcome is not None:
        of_method: dict[str, list[TrialRecord]] = defaultdict(list)
        for trial in record.of_purpose("confirm"):
            of_method[trial.method.digest].append(trial)
        named = [("naive", config.naive.digest)]
        named += [(name, digest) for name, row in _named(outcome) if (digest := _digest(row))]
        groups = {name: of_method[digest] for name, digest in named}
    else:
        for trial, _ in sorted(scored_trials(record), key=lambda pair: -pair[1]):
            if len(groups) < BEST_BRANCHES or trial.branch in groups:
                groups.setdefault(trial.branch, [trial])
    curves = [row for name, trials in groups.items() for row in mean_losses(name, trials)]
    if not curves:
        return None
    names = list(dict.fromkeys(row["name"] for row in curves))
    return losses_figure(f"training loss of {', '.join(names)}", curves, names)


def mean_losses(name: str, trials: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """The mean training loss of trials of a method, at each share of the training where all have one."""
    lines = [dict(losses_of(trial)) for trial in trials]
    shares = [share for share in lines[0] if all(share in line for line in lines)] if lines else []
    return [{"name": name, "share": at, "loss": fmean(line[at] for line in lines)} for at in shares]


def losses_of(trial: TrialRecord) -> Iterator[tuple[float, float]]:
    """The (share, training loss) of a trial, each at the middle of the part that it is the mean of."""
    before = 0.0
    for share, rung in sorted(trial.rungs.items()):
        width = (share - before) / max(1, len(rung.losses))
        for i, loss in enumerate(rung.losses):
            yield round(before + (i + 0.5) * width, 6), loss
        before = share


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
    found = importance_with_uncertainty([(trial.method, pgr) for trial, pgr in scored])[:MOST_AXES]
    if not found:
        return None
    bars = [
        {"name": one.name, "share": one.share, "low": one.low, "high": one.high}
        | {"text": f"{one.share:.0%} ({one.low:.0%} to {one.high:.0%})"}
        for one in found
    ]
    first = ", ".join(f"{bar['name']} {bar['text']}" for bar in bars)
    return importance_figure(f"importance of parameters: {first}", bars)


def _finalists(outcome: Outcome) -> Figure:
    named = [("naive", "naive", outcome["naive"])]
    named += [(name, "finalist", finalist) for name, finalist in _named(outcome)]
    rows = [_interval(name, kind, score, "PGR", ".3f") for name, kind, score in named]
    seeds = [row for name, kind, score in named for row in _seeds(name, kind, score, "pgr", ".3f")]
    of = interval_domain(rows, seeds, (0.0, 1.0))
    return intervals_figure("PGR on the test split, 95% interval", rows, seeds, FLOOR_AND_CEILING, of)


def _gains(outcome: Outcome) -> Figure:
    named = _named(outcome)
    rows = [_interval(name, "finalist", one["over_naive"], "over naive", "+.3f") for name, one in named]
    seeds = [row for name, one in named for row in _seeds(name, "finalist", one, "over_naive", "+.3f")]
    zero = [{"pgr": 0, "text": "naive"}]
    of = interval_domain(rows, seeds, (0.0,), (-2.0, 2.0))
    return intervals_figure("PGR above naive, paired, 95% interval", rows, seeds, zero, of)


def _named(outcome: Outcome) -> list[tuple[str, Any]]:
    return [
        (f"{i}. {finalist['branch']}", finalist) for i, finalist in enumerate(outcome["finalists"], start=1)
    ]


def _interval(name: str, kind: str, score: Any, what: str, form: str) -> dict[str, Any]:
    low, high = score["ci95"]
    tip = f"{name}: {what} {score['pgr']:{form}}, 95% interval {low:{form}} to {high:{form}}"
    return {"name": name, "kind": kind, "pgr": score["pgr"], "low": low, "high": high, "tip": tip}


def _seeds(name: str, kind: str, score: Any, key: str, form: str) -> Iterator[dict[str, Any]]:
    """A point for each seed; none in results of earlier versions, which name no seeds."""
    for row in score.get("per_seed", ()):
        if (value := row[key]) is not None:
            tip = f"{name}, seed {row['seed']}, supervisor {row['supervisor']}: {value:{form}}"
            yield {"name": name, "kind": kind, "pgr": value, "tip": f"{tip}, accuracy {row['accuracy']:.4f}"}
