"""Regret on recorded learning curves: our search, by its own objects, beside what others would use.

python -m benchmarks.curves --curves FILE.npz --methods ours,random,tpe,sha,asha,hyperband,median \
    --seeds 10 --workers 4 --budget 60 --out curves.json

Asynchronous workers in virtual time; a budget is so many full trainings over all workers. A figure is the
mean over tasks of the median over seeds of the normalised test regret, with its standard error over tasks.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.curves.data import Curves, load
from benchmarks.curves.methods import METHODS, quiet
from benchmarks.curves.simulation import regrets

BUDGETS = (5, 10, 20, 40, 60)


def measure(
    curves: Curves, method: str, *, seeds: int, workers: int, budgets: Sequence[float]
) -> dict[str, object]:
    """One method's row: regret and standard error at each budget, and every task's median over seeds."""
    make = METHODS[method]
    with tqdm(total=len(curves.tasks) * seeds, desc=method, leave=False, file=sys.stderr) as bar:
        runs = regrets(
            curves,
            lambda seed: make(curves, seed),
            seeds=seeds,
            workers=workers,
            budgets=budgets,
            done=bar.update,
        )
    medians = np.median(runs, axis=1)
    tasks = len(medians)
    se = medians.std(axis=0, ddof=1) / np.sqrt(tasks) if tasks > 1 else np.full(len(budgets), np.nan)
    return {
        "regret": [round(float(value), 4) for value in medians.mean(axis=0)],
        "se": [None if np.isnan(value) else round(float(value), 4) for value in se],
        "tasks": {
            name: [round(float(value), 4) for value in row]
            for name, row in zip(curves.tasks, medians, strict=True)
        },
    }


def table(budgets: Sequence[float], rows: dict[str, dict[str, object]]) -> str:
    """A line a method: regret ± standard error at each budget."""
    lines = ["method".ljust(12) + "".join(f"{f'B={budget:g}':>14}" for budget in budgets)]
    for method, row in rows.items():
        cells = [
            f"{value:.3f}" + ("" if se is None else f" ± {se:.3f}")
            for value, se in zip(row["regret"], row["se"], strict=True)  # type: ignore[call-overload]  # rows are of JSON
        ]
        lines.append(method.ljust(12) + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit 0 on success, 2 on a mistake in the input."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description=__doc__)
    parser.add_argument("--curves", type=Path, required=True, help="npz with loss, hp and tasks")
    parser.add_argument("--methods", default=",".join(METHODS), help=f"comma-separated: {','.join(METHODS)}")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--budget", type=float, default=60, help="the largest budget, in full trainings")
    parser.add_argument("--out", type=Path, help="write the figures as JSON here")
    given = parser.parse_args(argv)
    methods = given.methods.split(",")
    if unknown := [method for method in methods if method not in METHODS]:
        parser.error(f"--methods: unknown {', '.join(unknown)}; choose from {', '.join(METHODS)}")
    if min(given.seeds, given.workers) < 1 or given.budget <= 0:
        parser.error("--seeds and --workers must be at least 1, --budget above 0")
    try:
        curves = load(given.curves)
    except (OSError, ValueError) as error:
        parser.error(f"--curves: {error}")
    quiet()
    budgets = [budget for budget in BUDGETS if budget <= given.budget] or [given.budget]
    rows: dict[str, dict[str, object]] = {}
    result = {"schema": 1, "curves": given.curves.name, "seeds": given.seeds, "workers": given.workers}
    for method in methods:
        rows[method] = measure(curves, method, seeds=given.seeds, workers=given.workers, budgets=budgets)
        if given.out:
            text = json.dumps({**result, "budgets": budgets, "methods": rows}, indent=1)
            given.out.write_text(text + "\n")
    sys.stderr.write(table(budgets, rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
