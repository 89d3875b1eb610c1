"""The errors of the predicted time left and of the predicted seconds of steps, from ledgers of finished runs.

    python -m benchmarks.eta RUN ... [--at 0.1 0.5 0.9]

Each ledger is replayed up to a share of the time between its first trial and its end, at the times that its
events carry, as somebody who looked on then would have read it. The error is the predicted time left less the
true one, as a share of the whole time. A resumed run is left out: its pauses are no work.

`steps` compares what every step took with what was predicted of it when it ended, from all steps before: the
median and the ninth decile of |log(took / predicted)|, and all predictions together over what all took. The
first step is left out, because before it there is no unit.

`first` is the first time left that was said while baselines trained: seconds after the run began (once
torch and Ray were imported), what was predicted, what was left, and the error as a share of that; then the
prediction of each phase, and the seconds by the clock that it took.

`mean_pace` is the rule that this forecast took the place of: the mean seconds of the search's trials for each
that has yet to start, at the seconds by the clock of a second of training since the first trial began.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from search.cli.output import stdout_for_json, write_json
from search.config.schema import RunConfig
from search.ledger.events import AnyEvent, Finished, Reached, Resumed, TrialStarted
from search.ledger.record import Record
from search.output.live_view.baselines import Baselines
from search.output.live_view.forecast import Forecast
from search.output.live_view.phases import NAMES, named
from search.output.live_view.remaining import likely_s, planned
from search.storage.baseline_times import BaselineTimes, Line
from search.storage.run_directory import RunDirectory

AT = (0.1, 0.25, 0.5, 0.75, 0.9)


def errors(
    config: RunConfig, events: Sequence[AnyEvent], shares: Sequence[float], lines: Sequence[Line] = ()
) -> Iterator[dict[str, Any]]:
    """The errors of one run at each share. lines: of its baselines.

    Raises ValueError for one that was resumed or has not finished.
    """
    if any(isinstance(event, Resumed) for event in events) or not (
        events and isinstance(events[-1], Finished)
    ):
        raise ValueError("only a run that finished without a break can be compared")
    began = next(event.at for event in events if isinstance(event, TrialStarted))
    whole = events[-1].at - began
    for share in shares:
        at = began + share * whole
        record = Record()
        forecast = Forecast(config, record)
        forecast.begin(Baselines(config, [line for line in lines if line.at <= at]))
        for event in events:
            if event.at <= at:
                record.apply(event)
                forecast.apply(event)
        clock_s = forecast.clock_s(at)
        predicted = {
            "forecast": None if clock_s is None else sum(clock_s.values()),
            "mean_pace": mean_pace_s(config, record, at - began),
        }
        left = events[-1].at - at
        yield {
            "at": share,
            "left_s": round(left, 1),
            **{
                rule: None if found is None else round((found - left) / whole, 3)
                for rule, found in predicted.items()
            },
        }


def first(config: RunConfig, lines: Sequence[Line], events: Sequence[AnyEvent]) -> dict[str, Any] | None:
    """The first time left that was said before the first event; None if none was, or not by this process."""
    began, ended = Record.of(events).started, events[-1].at
    if began is None:
        return None
    for count, line in enumerate(lines, 1):
        if line.at < began.at:
            continue
        forecast = Forecast(config, Record())
        forecast.begin(Baselines(config, lines[:count]))
        if (clock_s := forecast.clock_s(line.at)) is None:
            continue
        predicted, left = sum(clock_s.values()), ended - line.at
        return {
            "after_s": round(line.at - began.at, 1),
            "predicted_s": round(predicted, 1),
            "left_s": round(left, 1),
            "error": round((predicted - left) / left, 3),
            "by_phase": {name: round(seconds, 1) for name, seconds in named(clock_s).items()},
            "took": _took(line.at, events),
        }
    return None


def _took(since: float, events: Sequence[AnyEvent]) -> dict[str, float]:
    """Seconds by the clock of each phase, from a time while baselines trained."""
    record = Record.of(events)
    ends = {"baselines": min(trial.started_at for trial in record.trials.values())}
    for purpose, name in NAMES.items():
        ended = [trial.ended_at for trial in record.of_purpose(purpose) if trial.ended_at is not None]
        ends |= {name: max(ended)} if ended else {}
    times = [since, *ends.values()]
    return {name: round(end - start, 1) for name, start, end in zip(ends, times, ends.values(), strict=False)}


def steps(config: RunConfig, events: Sequence[AnyEvent]) -> dict[str, Any]:
    """How well the seconds of a run's steps are predicted."""
    record = Record()
    forecast = Forecast(config, record)
    pairs = list[tuple[float, float]]()
    for event in events:
        if isinstance(event, Reached) and event.seconds > 0:
            expected = forecast.expected_s(event.trial)
            pairs += [] if expected is None else [(event.seconds, expected)]
        record.apply(event)
        forecast.apply(event)
    took, expected_s = np.array(pairs[1:]).T if len(pairs) > 1 else np.ones((2, 1))
    logs = np.abs(np.log(took / expected_s))
    return {
        "count": max(0, len(pairs) - 1),
        "median": round(float(np.median(logs)), 3),
        "p90": round(float(np.quantile(logs, 0.9)), 3),
        "predicted_over_took": round(float(expected_s.sum() / took.sum()), 3),
    }


def mean_pace_s(config: RunConfig, record: Record, clock_s: float) -> float | None:
    """Seconds left by the rule of the mean. clock_s: since the first trial began. None without a rung."""
    searched = [trial for trial in record.of_purpose("search") if trial.rungs]
    trained_s = sum(trial.train_s for trial in record.trials.values())
    if not searched or not trained_s:
        return None
    counts = planned(config, record)
    left_s = 0.0
    for purpose, unknown in (
        ("search", fmean(trial.train_s for trial in searched)),
        ("replicate", likely_s(searched)),
        ("confirm", likely_s(searched, config.confirm.finalists)),
    ):
        trials = list(record.of_purpose(purpose))
        ended = [trial.train_s for trial in trials if trial.state is not None]
        mean = fmean(ended) if ended else unknown
        under_way = sum(max(0.0, mean - trial.train_s) for trial in trials if trial.state is None)
        left_s += mean * max(0, counts[purpose] - len(trials)) + under_way
    return left_s * clock_s / trained_s


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the errors of each run, and the mean size of each rule's at each share."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--at", nargs="+", type=float, default=AT, metavar="SHARE")
    chosen = parser.parse_args(arguments)
    with stdout_for_json():
        told = {str(path): RunDirectory(path).read() for path in chosen.runs}
        lines = {path: BaselineTimes(Path(path)).lines() for path in told}
        runs = {path: list(errors(*run, chosen.at, lines[path])) for path, run in told.items()}
        of_first = {path: first(config, lines[path], events) for path, (config, events) in told.items()}
        of_steps = {path: steps(*run) for path, run in told.items()}
        sizes = {
            rule: [mean_size([rows[i][rule] for rows in runs.values()]) for i in range(len(chosen.at))]
            for rule in ("forecast", "mean_pace")
        }
        found = {
            "at": list(chosen.at),
            "mean_size": sizes,
            "runs": runs,
            "first": of_first,
            "steps": of_steps,
        }
        write_json(found, indent=1)


def mean_size(found: Sequence[float | None]) -> float | None:
    """The mean absolute error of the runs with a prediction; None without."""
    known = [abs(error) for error in found if error is not None]
    return round(fmean(known), 3) if known else None


if __name__ == "__main__":
    main()
