"""What trials seen so far say about trials not seen: a Gaussian process over methods and rungs. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize
from scipy.stats import norm, rankdata

from search.pgr import Reals

PRIOR_LENGTH, PRIOR_NOISE = 0.7, 0.3  # medians of the log-normal priors, with a log standard deviation of 1
FIT_POINTS, FIT_STEPS = 200, 50  # the hyperparameters settle long before the predictions do
JITTER = 1e-6


def normal_scores(scores: Reals, errors: Reals) -> tuple[Reals, Reals]:
    """Scores [n] as normal quantiles of their ranks, and the errors [n] on that scale. Higher stays higher.

    NaN, a diverged trial, ranks below all others; ties share their mean rank. Ranks leave the long tails of
    losses and the scale of PGR alike (van der Waerden). An error becomes the larger of the two steps it makes
    up or down from its score.
    """
    known = np.where(np.isnan(scores), -np.inf, scores)
    quantiles = norm.ppf((rankdata(known) - 0.5) / len(known))
    finite = np.isfinite(known)
    if not finite.any():
        return quantiles, np.zeros_like(quantiles)
    order = np.argsort(known[finite], kind="stable")
    ladder, steps = known[finite][order], quantiles[finite][order]
    middle, error = np.where(finite, known, ladder[0]), np.where(finite, errors, 0.0)
    up = np.interp(middle + error, ladder, steps) - np.interp(middle, ladder, steps)
    down = np.interp(middle, ladder, steps) - np.interp(middle - error, ladder, steps)
    return quantiles, np.maximum(up, down)


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """Lengthscales [d] in units of the points, and the standard deviation of what they do not explain."""

    lengths: Reals
    noise: float

    @classmethod
    def prior(cls, dimensions: int) -> "Hyperparameters":
        """The medians of the prior."""
        return cls(lengths=np.full(dimensions, PRIOR_LENGTH), noise=PRIOR_NOISE)


class Surrogate:
    """A Gaussian process, Matérn 5/2 with one lengthscale a dimension (Rasmussen and Williams, 2006).

    points: [n, d], about the unit cube. values: [n], of about unit variance. errors: [n], the standard
    deviation of each value, on top of the noise that is fitted.
    """

    def __init__(self, points: Reals, values: Reals, errors: Reals, parameters: Hyperparameters) -> None:
        self._points = points
        self._parameters = parameters
        self._mean = float(values.mean())
        covariance = _matern(points, points, parameters.lengths)
        covariance[np.diag_indices(len(points))] += parameters.noise**2 + errors**2 + JITTER
        self._factor = cho_factor(covariance, lower=True)
        self._weights = cho_solve(self._factor, values - self._mean)

    def predict(self, points: Reals) -> tuple[Reals, Reals]:
        """Mean [m] and standard deviation [m] of the noiseless value at points [m, d]."""
        covariance = _matern(points, self._points, self._parameters.lengths)
        explained = solve_triangular(self._factor[0], covariance.T, lower=True)
        variance = np.maximum(1 - (explained**2).sum(axis=0), JITTER)
        return self._mean + covariance @ self._weights, np.sqrt(variance)


def fitted(points: Reals, values: Reals, errors: Reals, start: Hyperparameters) -> Hyperparameters:
    """The hyperparameters of highest posterior density, by L-BFGS from `start`; shapes as for Surrogate.

    More than 200 points are thinned evenly: their order must not depend on their values.
    """
    thin = np.unique(np.linspace(0, len(points) - 1, min(len(points), FIT_POINTS)).astype(int))
    centred = values[thin] - values[thin].mean()
    found = minimize(
        _objective,
        np.log(np.append(start.lengths, start.noise)),
        args=(points[thin], centred, errors[thin]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-4.0, 4.0)] * (points.shape[1] + 1),
        options={"maxiter": FIT_STEPS},
    )
    best = np.exp(found.x)
    return Hyperparameters(lengths=best[:-1], noise=float(best[-1]))


def _matern(left: Reals, right: Reals, lengths: Reals) -> Reals:
    distance = _root5_distance(left / lengths, right / lengths)
    kernel: Reals = (1 + distance + distance**2 / 3) * np.exp(-distance)
    return kernel


def _root5_distance(left: Reals, right: Reals) -> Reals:
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2 * left @ right.T
    distance: Reals = np.sqrt(5 * np.maximum(squares, 0))
    return distance


def _objective(logs: Reals, points: Reals, values: Reals, errors: Reals) -> tuple[float, Reals]:
    """Negative log posterior of the log hyperparameters, without constants, and its gradient."""
    lengths, noise = np.exp(logs[:-1]), np.exp(2 * logs[-1])
    scaled = points / lengths
    distance = _root5_distance(scaled, scaled)
    decay = np.exp(-distance)
    covariance = (1 + distance + distance**2 / 3) * decay
    covariance[np.diag_indices(len(points))] += noise + errors**2 + JITTER
    factor = cho_factor(covariance, lower=True)
    weights = cho_solve(factor, values)
    slack = cho_solve(factor, np.eye(len(points))) - np.outer(weights, weights)
    pull = (
        slack * (5 / 3) * (1 + distance) * decay
    )  # times the squared distance in a dimension: d/d log length
    rows = pull.sum(axis=1)
    gradient = [float(x**2 @ rows - x @ pull @ x) for x in scaled.T]
    gradient.append(float(np.trace(slack) * noise))
    off = np.append(logs[:-1] - np.log(PRIOR_LENGTH), logs[-1] - np.log(PRIOR_NOISE))
    density = 0.5 * values @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * off @ off
    return float(density), np.array(gradient) + off


def halves(values: Reals, most: int, draws: np.random.Generator) -> NDArray[np.int64]:
    """At most so many indices of values [n], in order: of the best half of them, and drawn from the rest."""
    if len(values) <= most:
        return np.arange(len(values))
    order = np.argsort(-values, kind="stable")
    best, rest = order[: most // 2], order[most // 2 :]
    return np.sort(np.concatenate([best, draws.choice(rest, most - len(best), replace=False)]))
