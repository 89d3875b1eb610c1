"""Whether a run's reported numbers are calibrated: campaigns on synthetic scores with known truth.

    python -m benchmarks.calibration [--campaigns 400] [--seed 0] [--quick] [--out FILE.json]

Students, supervisors and examples come from benchmarks/calibration/world.py; everything else is the search's
own code: the grader, the choice of methods for further seeds, of finalists and of the best, the confirmation
and its errors. Each campaign searches 36 methods of six kinds on 1,000 examples and confirms on
2,000; PGR spreads by 0.08 between the seeds of a method. Four settings:

steady: kinds and methods differ in PGR. The confirmed PGR of the best must be unbiased, and its 95% interval
must cover the truth in 93 to 97 of 100 campaigns, where the highest search score is biased upward.
null: no method differs from naive. p < 0.05 must come about 5% of the time.
supervisors: as steady, where methods suit supervisors differently (standard deviation .15 or .25 of PGR),
with 3, 5 and 8 seeds, skewed seeds, few supervisors: bias and coverage must be as good.
fragile: two kinds of six look best and collapse on three seeds of ten. How often such a method is named best:
with a single seed, with three seeds for six methods, and with the default.

Prints JSON and a verdict on one line; exits with 1 if it is bad. Takes five minutes on a core.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.calibration.campaign import NAIVE, PLANS, Outcome, Setting, campaigns, fragile, null, steady
from benchmarks.calibration.command import command

SUPERVISED = {
    "interaction .15": Setting(interaction=0.15),
    "interaction .25": Setting(interaction=0.25),
    "interaction .25, 5 seeds": Setting(interaction=0.25, seeds=5),
    "interaction .25, 3 seeds": Setting(interaction=0.25, seeds=3),
    "3 seeds": Setting(seeds=3),
    "skewed seeds, 5": Setting(skewed=True, seeds=5),
    "skewed seeds, interaction .15": Setting(skewed=True, interaction=0.15),
    "interaction .15, 8 seeds of 3 supervisors": Setting(interaction=0.15, supervisors=3),
}


def _error(errors: Sequence[float]) -> dict[str, float]:
    return {
        "mean_error": float(np.mean(errors)),
        "its_se": float(np.std(errors, ddof=1) / math.sqrt(len(errors))),
    }


def believed(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Bias and coverage of the reported PGR of the best, of naive and of their difference."""
    pairs: dict[str, list[tuple[Any, float]]] = {"best": [], "naive": [], "over_naive": []}
    for outcome in outcomes:
        confirmed, truth = outcome.confirmation.finalists[0][1], outcome.best.mean_pgr
        pairs["best"].append((confirmed.pgr, truth))
        pairs["naive"].append((outcome.confirmation.naive.pgr, NAIVE))
        pairs["over_naive"].append((confirmed.gain, truth - NAIVE))
    table: dict[str, Any] = {
        name: {
            **_error([estimate.value - truth for estimate, truth in pair]),
            "coverage95": float(
                np.mean([estimate.ci95[0] <= truth <= estimate.ci95[1] for estimate, truth in pair])
            ),
        }
        for name, pair in pairs.items()
    }
    named = [(outcome.confirmation.finalists[0][0].search_pgr, outcome.best.mean_pgr) for outcome in outcomes]
    table["search_pgr_of_best"] = _error([score - truth for score, truth in named])
    table["highest_search_score"] = _error([outcome.flattered for outcome in outcomes])
    return table


def rejected(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """How often p falls below 5% and 1%."""
    p = np.array([outcome.confirmation.finalists[0][1].beats_naive_p for outcome in outcomes])
    return {"below_5_percent": float(np.mean(p < 0.05)), "below_1_percent": float(np.mean(p < 0.01))}


def chosen(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """How good the method named best is."""
    return {
        "fragile_named_best": float(np.mean([outcome.best.collapses > 0 for outcome in outcomes])),
        "regret": float(np.mean([outcome.most - outcome.best.mean_pgr for outcome in outcomes])),
        "regret_worst_20th": float(
            np.quantile([outcome.most - outcome.best.mean_pgr for outcome in outcomes], 0.95)
        ),
    }


def verdict(report: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether the reported numbers are calibrated, and why, on one line."""
    best, null_rate = report["steady"]["best"], report["null"]["below_5_percent"]
    score, n = report["steady"]["highest_search_score"], report["campaigns"]
    slack = max(0.02, 2 * math.sqrt(0.95 * 0.05 / n))
    everywhere = {"steady": report["steady"], **report["supervisors"]}
    faults = {
        f"{fault}: {name}": found
        for name, table in everywhere.items()
        for fault, found in {
            "biased": abs(table["best"]["mean_error"])
            > (2 if name == "steady" else 3) * table["best"]["its_se"],
            "coverage": abs(table["best"]["coverage95"] - 0.95) > slack,
        }.items()
    }
    faults |= {
        "p values": abs(null_rate - 0.05) > slack,
        "search scores are not flattering": score["mean_error"] <= 2 * score["its_se"],
    }
    wrong = ", ".join(name for name, found in faults.items() if found)
    return not wrong, (
        f"{f'NOT calibrated ({wrong})' if wrong else 'calibrated'}: over {n} campaigns the confirmed PGR of "
        f"the best is off by {best['mean_error']:+.4f} ± {best['its_se']:.4f} and its 95% interval covers "
        f"{best['coverage95']:.1%}; the highest search score is off by {score['mean_error']:+.3f}; without a "
        f"difference p < 0.05 comes {null_rate:.1%} of the time"
    )


def calibration(count: int, seed: int) -> dict[str, Any]:
    """The whole report."""
    report: dict[str, Any] = {
        "campaigns": count,
        "seed": seed,
        "steady": believed(campaigns(steady, Setting(), count, seed)),
        "supervisors": {
            name: believed(campaigns(steady, setting, count, seed)) for name, setting in SUPERVISED.items()
        },
        "null": rejected(campaigns(null, Setting(replication=PLANS["1 seed"]), count, seed)),
        "fragile": {
            name: chosen(campaigns(fragile, Setting(replication=plan), count // 2, seed))
            for name, plan in PLANS.items()
        },
    }
    report["calibrated"], report["verdict"] = verdict(report)
    return report


def main() -> None:
    """Print the report."""
    command(__doc__, calibration, quick=40)


if __name__ == "__main__":
    main()
