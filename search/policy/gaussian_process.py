"""The surrogate: a Gaussian process over methods and rungs, fitted to the scores so far. Pure."""

from dataclasses import dataclass

import numpy as np

from search.scoring.pgr import Reals
from trainers.lazy import linalg, optimize

PRIOR_LENGTH, PRIOR_NOISE = 0.7, 0.3  # medians of the log-normal priors, with a log standard deviation of 1
FIT_POINTS, FIT_STEPS = 200, 50  # hyperparameters converge with fewer points than predictions
JITTER = 1e-6


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """Lengthscales [d] in units of the points, and the standard deviation of the observation noise."""

    lengths: Reals
    noise: float

    @classmethod
    def prior(cls, dimensions: int) -> "Hyperparameters":
        """The medians of the prior."""
        return cls(lengths=np.full(dimensions, PRIOR_LENGTH), noise=PRIOR_NOISE)


class Surrogate:
    """A Gaussian process, Matérn 5/2 with one lengthscale per dimension (Rasmussen and Williams, 2006).

    points: [n, d], roughly in the unit cube. values: [n], of roughly unit variance. One noise level is
    fitted for all: chance from the seed and from the search split is about the same for every trial.
    """

    def __init__(self, points: Reals, values: Reals, parameters: Hyperparameters) -> None:
        self._points = points
        self._parameters = parameters
        self._mean = float(values.mean())
        covariance = _matern(points, points, parameters.lengths)
        covariance[np.diag_indices(len(points))] += parameters.noise**2 + JITTER
        self._factor = linalg.cho_factor(covariance, lower=True)
        self._weights = linalg.cho_solve(self._factor, values - self._mean)

    def predict(self, points: Reals) -> tuple[Reals, Reals]:
        """Mean [m] and standard deviation [m] of the noiseless value at points [m, d]."""
        return self.predict_mean(points[None])

    def predict_mean(self, points: Reals) -> tuple[Reals, Reals]:
        """Mean [m] and standard deviation [m] of the mean over t noiseless values at points [t, m, d].

        A mean of values of a Gaussian process is normal too: its covariance with the scores is the mean of
        theirs, its prior variance the mean of the covariances between them.
        """
        lengths = self._parameters.lengths
        covariance = np.mean([_matern(one, self._points, lengths) for one in points], axis=0)
        prior = np.mean([_paired_matern(one, other, lengths) for one in points for other in points], axis=0)
        explained = linalg.solve_triangular(self._factor[0], covariance.T, lower=True)
        variance = np.maximum(prior - (explained**2).sum(axis=0), JITTER)
        return self._mean + covariance @ self._weights, np.sqrt(variance)


def fitted(points: Reals, values: Reals, start: Hyperparameters) -> Hyperparameters:
    """The hyperparameters of highest posterior density, by L-BFGS from `start`; shapes as for Surrogate.

    More than 200 points are thinned evenly, so their order must not depend on their values. The lengthscale
    of a coordinate that is equal in all points keeps its start value.
    """
    thin = np.unique(np.linspace(0, len(points) - 1, min(len(points), FIT_POINTS)).astype(int))
    points, centred = points[thin], values[thin] - values[thin].mean()
    varied = np.flatnonzero(np.ptp(points, axis=0))
    found = optimize.minimize(
        _objective,
        np.log(np.append(start.lengths[varied], start.noise)),
        args=(points[:, varied], centred),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-4.0, 4.0)] * (len(varied) + 1),
        options={"maxiter": FIT_STEPS},
    )
    best, lengths = np.exp(found.x), start.lengths.copy()
    lengths[varied] = best[:-1]
    return Hyperparameters(lengths=lengths, noise=float(best[-1]))


def _matern(left: Reals, right: Reals, lengths: Reals) -> Reals:
    return _kernel(_root5_distance(left / lengths, right / lengths))


def _paired_matern(left: Reals, right: Reals, lengths: Reals) -> Reals:
    """The covariances [m] of the i-th of some points [m, d] with the i-th of others."""
    return _kernel(np.sqrt(5 * (((left - right) / lengths) ** 2).sum(axis=1)))


def _kernel(distance: Reals) -> Reals:
    kernel: Reals = (1 + distance + distance**2 / 3) * np.exp(-distance)
    return kernel


def _root5_distance(left: Reals, right: Reals) -> Reals:
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2 * left @ right.T
    distance: Reals = np.sqrt(5 * np.maximum(squares, 0))
    return distance


def _objective(logs: Reals, points: Reals, values: Reals) -> tuple[float, Reals]:
    """Negative log posterior of the log hyperparameters, without constants, and its gradient."""
    lengths, noise = np.exp(logs[:-1]), np.exp(2 * logs[-1])
    scaled = points / lengths
    distance = _root5_distance(scaled, scaled)
    decay = np.exp(-distance)
    covariance = (1 + distance + distance**2 / 3) * decay
    covariance[np.diag_indices(len(points))] += noise + JITTER
    factor = linalg.cho_factor(covariance, lower=True)
    weights = linalg.cho_solve(factor, values)
    by_covariance = linalg.cho_solve(factor, np.eye(len(points))) - np.outer(weights, weights)  # twice d/dK
    # Times the squared distance in a dimension, this is twice the derivative by the log of its lengthscale.
    by_distance = by_covariance * (5 / 3) * (1 + distance) * decay
    rows = by_distance.sum(axis=1)
    gradient = [float(x**2 @ rows - x @ by_distance @ x) for x in scaled.T]
    gradient.append(float(np.trace(by_covariance) * noise))
    from_prior = np.append(logs[:-1] - np.log(PRIOR_LENGTH), logs[-1] - np.log(PRIOR_NOISE))
    loss = 0.5 * values @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * from_prior @ from_prior
    return float(loss), np.array(gradient) + from_prior
