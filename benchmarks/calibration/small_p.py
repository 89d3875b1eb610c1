"""Whether small p values and 95% intervals of a confirmation hold with few seeds.

    python -m benchmarks.calibration.small_p [--draws 400000] [--seed 0] [--quick]

The gain of a method on an example with a seed is a normal effect of the seed, one of the example, and chance.
Mean gain, variance between seeds, between examples, and the interaction are then independent, with known
distributions, so a confirmation costs a few random numbers and p values of 10^-4 can be counted. The error of
the mean is computed here anew (a test compares it with search.scoring.pgr), once without a prior for the seed
variance, once moved towards a prior: right, half or twice the true standard deviation, or right on average
over methods that differ (true variances inverse chi-square with six degrees of freedom).

Prints for each number of seeds and each seed standard deviation: how often p falls below 5%, 1%, 10^-3 and
10^-4 without a gain, as a multiple of what it should be; the coverage of the 95% interval; the power, p < 1%,
against a gain of four true standard errors. Takes a minute on a core, a second with --quick.
"""

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from search.cli.output import stdout_for_json, write_json
from search.engine.confirmation import CAMPAIGN_DEGREES_OF_FREEDOM

Reals = NDArray[np.float64]

EXAMPLES = 2000
EXAMPLE_SD, CELL_SD = 1.3, 2.3  # of gains in PGR, where the gap is .23 of accuracy
SEEDS = (2, 3, 5, 8)
SEED_SDS = (0.04, 0.11, 0.3)
LEVELS = (0.05, 0.01, 1e-3, 1e-4)
METHODS_DIFFER = 6  # degrees of freedom of the true variances of methods
PRIORS = {"none": 0.0, "half": 0.5, "right": 1.0, "right on average": 1.0, "twice": 2.0}
INVERSE_DF = np.linspace(0, 1, 4001)[1:]


@dataclass(frozen=True, kw_only=True)
class Gains:
    """Sufficient statistics of the gains, [seeds, examples], of many confirmations; every field [draws]."""

    seeds: int
    mean: Reals
    rows: Reals  # variance between seeds' mean gains
    columns: Reals  # variance between examples' mean gains
    interaction: Reals  # variance of what neither seed nor example explains
    true_se: Reals


def draw(rng: np.random.Generator, seeds: int, sd: float, draws: int, *, methods_differ: bool) -> Gains:
    """Gains around zero. sd: of the seeds' effect, or its square's mean over methods that differ."""
    variance = np.full(draws, sd**2)
    if methods_differ:
        variance *= METHODS_DIFFER / rng.chisquare(METHODS_DIFFER, draws)

    def estimated(truth: Reals | float, free: int) -> Reals:
        return np.asarray(truth * rng.chisquare(free, draws) / free)

    cells = seeds * EXAMPLES
    se = np.sqrt(variance / seeds + EXAMPLE_SD**2 / EXAMPLES + CELL_SD**2 / cells)
    return Gains(
        seeds=seeds,
        mean=se * rng.normal(size=draws),
        rows=estimated(variance + CELL_SD**2 / EXAMPLES, seeds - 1),
        columns=estimated(EXAMPLE_SD**2 + CELL_SD**2 / seeds, EXAMPLES - 1),
        interaction=estimated(CELL_SD**2, (seeds - 1) * (EXAMPLES - 1)),
        true_se=se,
    )


def errors(gains: Gains, prior_sd: float, prior_df: int, examples: int = EXAMPLES) -> tuple[Reals, Reals]:
    """The standard error of the mean gain and its degrees of freedom."""
    k, n = gains.seeds, examples
    df_rows = prior_df + k - 1
    expected = prior_sd**2 + gains.interaction / n
    rows = (prior_df * expected + (k - 1) * gains.rows) / df_rows / k
    columns, both = gains.columns / n, gains.interaction / (k * n)
    total = rows + columns - both
    df = total**2 / (rows**2 / df_rows + columns**2 / (n - 1) + both**2 / ((k - 1) * (n - 1)))
    largest = np.maximum(rows, columns)
    df = np.where(total >= largest, df, np.where(rows >= columns, df_rows, n - 1))
    return np.sqrt(np.maximum(total, largest)), df


def critical(df: Reals, level: float) -> Reals:
    """Student's t that is exceeded with this probability, interpolated in 1 / df."""
    return np.asarray(np.interp(1 / df, INVERSE_DF, stats.t.isf(level, 1 / INVERSE_DF)))


def measured(rng: np.random.Generator, seeds: int, sd: float, prior: str, draws: int) -> dict[str, Any]:
    """A row of the table."""
    gains = draw(rng, seeds, sd, draws, methods_differ=prior == "right on average")
    prior_df = 0 if prior == "none" else CAMPAIGN_DEGREES_OF_FREEDOM
    se, df = errors(gains, PRIORS[prior] * sd, prior_df)
    t = gains.mean / se
    return {
        "seeds": seeds,
        "seed_sd": sd,
        "prior": prior,
        "too_often": {f"{level:g}": float(np.mean(t > critical(df, level)) / level) for level in LEVELS},
        "coverage95": float(np.mean(np.abs(t) < critical(df, 0.025))),
        "power": float(np.mean(t + 4 * gains.true_se / se > critical(df, 0.01))),
    }


def table(draws: int, seed: int) -> list[dict[str, Any]]:
    """Every number of seeds, seed standard deviation and prior."""
    rng = np.random.default_rng(seed)
    return [measured(rng, seeds, sd, prior, draws) for prior in PRIORS for seeds in SEEDS for sd in SEED_SDS]


@stdout_for_json()
def main() -> None:
    """Print the table, a row a line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=400_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="20,000 draws")
    arguments = parser.parse_args()
    for row in table(20_000 if arguments.quick else arguments.draws, arguments.seed):
        write_json(row)


if __name__ == "__main__":
    main()
