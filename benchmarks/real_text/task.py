"""One task from its data to its figures: baselines, a run of the search, published methods on fresh seeds."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from rich.console import Console

from agents.findings.predictions import unpack
from benchmarks.real_text.figures import Row, Statistics, of_baseline, of_gap
from benchmarks.real_text.methods import is_single, published
from benchmarks.real_text.taught import Taught
from search import run
from search.config.schema import RunConfig
from search.scoring.pgr import Bools, pgr
from search.storage.run_directory import RunDirectory
from trainers.method import Method

log = logging.getLogger(__name__)


def figures_of(config: RunConfig, folder: Path, *, searched: bool, hindsight: bool) -> Row:
    """The figures of a task; see the package's `__main__`. folder: for the run of its search.

    Without a clear gap on the search split, or any on the test split, naive and best are null. Raises
    ValueError, on one line, for a mistake in the data, RuntimeError if the run fails.
    """
    taught = Taught.of(config, Console(stderr=True))
    test, choosing = taught.baselines("test"), of_gap(taught.baselines("search"))
    row: Row = {
        "weak": of_baseline(test.weak),
        "ceiling": of_baseline(test.ceiling),
        "gap": of_gap(test),
        "search_gap": choosing,
        "naive": None,
        "best": None,
        "methods": {},
    }
    if not choosing["clear"] or row["gap"]["value"] <= 0:
        log.warning(
            "%s has no clear gap to recover: %.3f ± %.3f", config.name, choosing["value"], choosing["se"]
        )
        return row
    outcome = _run(config, folder) if searched else None
    return row | _of_methods(taught, outcome, folder, hindsight=hindsight)


def _run(config: RunConfig, folder: Path) -> Row:
    """The outcome of a search; one that was interrupted here goes on."""
    outcome = run(config, folder / "run", progress=True).outcome
    assert outcome is not None
    return outcome


def _of_methods(taught: Taught, outcome: Row | None, folder: Path, *, hindsight: bool) -> Row:
    config = taught.config
    naive, seeds = config.naive, config.confirm_seeds()
    methods = published(naive, config.abilities)
    searched = taught.correct_of(
        {"naive": naive, **methods}, taught.search_seeds, "search", "on the search's seeds"
    )
    fresh = taught.correct_of({"naive": naive, **methods}, seeds, "test", "on fresh seeds")
    of_naive = fresh.pop("naive")
    statistics = Statistics(
        taught.baselines("test"), [config.supervisor(seed) for seed in seeds], of_naive, fresh
    )
    rows = {
        name: {
            **statistics.of(correct),
            **_on_search_seeds(taught, searched, name),
            "single": is_single(methods[name], naive),
            "method": methods[name].model_dump(),
        }
        for name, correct in fresh.items()
    }
    of_naive_row = statistics.of_naive() | _on_search_seeds(taught, searched, "naive")
    found: Row = {"naive": of_naive_row, "methods": rows, "best": None}
    if outcome is not None:
        found["best"] = _best(outcome, statistics, taught, rows, fresh)
        if hindsight:
            found["hindsight"] = _hindsight(taught, statistics, folder)
    return found


def _on_search_seeds(taught: Taught, searched: Mapping[str, Bools], name: str) -> Row:
    """PGR on the search split, with each supervisor of the search: what a choice could have gone by."""
    if name not in searched:
        return {"search_pgr": None, "search_per_seed": None}
    baselines = taught.baselines("search")
    pgrs = [pgr(float(row.mean()), baselines.weak_acc, baselines.ceiling_acc) for row in searched[name]]
    return {"search_pgr": fmean(pgrs), "search_per_seed": pgrs}


def _best(
    outcome: Row, statistics: Statistics, taught: Taught, rows: Mapping[str, Row], fresh: Mapping[str, Bools]
) -> Row:
    """The figures of the finalist that the run named best, before it opened the test split.

    over_single, over_published: its gain over the published single component, and the published method, that
    does best on this very test split, which favours them.
    """
    best = outcome["best"]
    truth, _ = taught.graded["test"]
    correct = np.stack([unpack(packed, len(truth)) == truth for packed in best["predictions"]])
    singles = [name for name in rows if rows[name]["single"]]

    def over(names: Iterable[str]) -> Row | None:
        rival = max(names, key=lambda name: float(rows[name]["pgr"]), default=None)
        return None if rival is None else {"name": rival, **statistics.gain(correct, fresh[rival])}

    return {
        "acc": best["accuracy"],
        "pgr": best["pgr"],
        "se": best["se"],
        "seeds": best["seeds"],
        "per_seed": [seed["pgr"] for seed in best["per_seed"]],
        "over_naive": best["over_naive"]["pgr"],
        "over_naive_se": best["over_naive"]["se"],
        "p": best["beats_naive_p"],
        "over_single": over(singles),
        "over_published": over(rows),
        "branch": best["branch"],
        "search_pgr": best["search_pgr"],
        "method": best["method"],
        "finalists": [
            {
                "branch": one["branch"],
                "search_pgr": one["search_pgr"],
                "pgr": one["pgr"],
                "over_naive": one["over_naive"]["pgr"],
                "p": one["beats_naive_p"],
            }
            for one in outcome["finalists"]
        ],
        "trials": outcome["trials"],
        "seconds": outcome["cost"]["wall_s"],
    }


def _hindsight(taught: Taught, statistics: Statistics, folder: Path) -> list[Row]:
    """The search's methods on the fresh seeds, highest PGR first: what no rule could have known.

    Without those that train other weights than naive does: their trainings may take minutes.
    """
    _, record = RunDirectory(folder / "run").load()
    trials = {trial.best_method.digest: trial for trial in record.of_purpose("search") if trial.best}
    methods: dict[str, Method] = {
        digest: trial.best_method
        for digest, trial in trials.items()
        if trial.method.student.kind == taught.config.naive.student.kind
    }
    replicated: dict[str, list[float | None]] = {}
    for trial in record.of_purpose("replicate"):
        replicated.setdefault(trial.method.digest, []).append(trial.best_pgr)
    seeds = taught.config.confirm_seeds()
    found: list[dict[str, Any]] = [
        {
            **statistics.of(correct),
            "branch": trials[digest].branch,
            "trial": trials[digest].trial,
            "share": max(trials[digest].rungs),
            "search_pgrs": [trials[digest].best_pgr, *replicated.get(digest, ())],
            "method": methods[digest].model_dump(),
        }
        for digest, correct in taught.correct_of(methods, seeds, "test", "the search's methods").items()
    ]
    return sorted(found, key=lambda row: -float(row["pgr"]))
