"""How often a search names a method best that collapses on some seeds, and what that costs.

    python -m benchmarks.calibration.fragile [--campaigns 100] [--seed 0] [--quick]

Campaigns of known truth (see benchmarks/calibration/__main__.py). Two kinds of six look better than they
are, by .15 or .3 of PGR: their methods collapse on one, two or three seeds of ten, those of a kind either
all on the same seeds or each on its own. Replicated on up to four seeds, or on eight. Of each setting: the
share of campaigns that name a fragile method best; the true PGR of the best, collapses included, with its
standard error; the share of campaigns whose best beats naive with p < .01. Prints JSON. Takes ten minutes
on a core.
"""

import argparse
import math
from itertools import product
from typing import Any

import numpy as np

from benchmarks.calibration.campaign import Outcome, Setting, campaigns, made_fragile, steady
from benchmarks.calibration.world import Truth
from search.cli.output import stdout_for_json, write_json
from search.config.seeds import ReplicationConfig
from trainers.method import Method

RATES, GAINS, SEEDS = (0.1, 0.2, 0.3), (0.15, 0.3), (4, 8)


def row(rate: float, gain: float, setting: Setting, count: int, seed: int) -> dict[str, Any]:
    """The figures of a setting."""

    def fragile(rng: np.random.Generator) -> dict[Method, Truth]:
        return made_fragile(steady(rng), gain, rate)

    outcomes = campaigns(fragile, setting, count, seed)
    return {
        "collapse_on_own_seeds": setting.collapse_alone,
        "rate": rate,
        "gain": gain,
        "seeds": setting.replication.seeds,
        **named_best(outcomes),
    }


def named_best(outcomes: list[Outcome]) -> dict[str, float]:
    """Of the methods named best: how many are fragile, their true PGR, how many beat naive with p < .01."""
    pgrs = [outcome.best.mean_pgr for outcome in outcomes]
    p_values = [outcome.confirmation.finalists[0][1].beats_naive_p for outcome in outcomes]
    return {
        "fragile_named_best": float(np.mean([outcome.best.collapses > 0 for outcome in outcomes])),
        "true_pgr": float(np.mean(pgrs)),
        "true_pgr_se": float(np.std(pgrs, ddof=1) / math.sqrt(len(pgrs))),
        "p_below_1_percent": float(np.mean(np.array(p_values) < 0.01)),
    }


@stdout_for_json()
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--campaigns", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="20 campaigns of each setting")
    arguments = parser.parse_args()
    count = 20 if arguments.quick else arguments.campaigns
    rows = [
        row(
            rate,
            gain,
            Setting(replication=ReplicationConfig(seeds=seeds), collapse_alone=alone),
            count,
            arguments.seed,
        )
        for alone, rate, gain, seeds in product((False, True), RATES, GAINS, SEEDS)
    ]
    write_json({"campaigns": count, "seed": arguments.seed, "rows": rows}, indent=1)


if __name__ == "__main__":
    main()
