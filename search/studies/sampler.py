"""Our sampler, as an Optuna sampler: draws methods at random or near a good method."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from agents.language.naming import method_values
from agents.language.proposal import Branch
from search.ledger.events import DrawnBy
from search.policy.encoding import encode
from search.scoring.pgr import Reals
from search.studies.space import suggest
from trainers.method import Method

STAY, STEP = 0.8, 0.1

Params = Mapping[str, Any]
Distributions = Mapping[str, BaseDistribution]


@dataclass(frozen=True, kw_only=True)
class Draw:
    """A method drawn from a branch, as a point for the surrogate and as parameters for the branch's study.

    by: who named it.
    """

    branch: str
    method: Method
    point: Reals
    params: Params
    distributions: Distributions
    by: DrawnBy = "sampler"


class MethodSampler(BaseSampler):
    """Draws candidates before a trial exists, and gives the chosen draw to the next trial that asks.

    The surrogate compares many candidates for one trial, so most draws never become a trial. The draw that
    was chosen is sampled jointly, as Optuna's relative sampling; a trial that nothing was chosen for gets
    values at random.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._chosen: Draw | None = None

    def draw(self, branch: Branch, naive: Method, near: Method | None) -> Draw:
        """A method of the branch, near a method if given; ValueError for a combination that cannot work."""
        candidate = _Candidate(self._rng, {} if near is None else method_values(near))
        method = suggest(candidate, branch, naive)
        return new_draw(branch.name, method, candidate.params, candidate.distributions)

    def choose(self, draw: Draw | None) -> None:
        """The draw that trials get from now on; None for values at random."""
        self._chosen = draw

    def reseed_rng(self) -> None:
        """Go on with a seed of the system's, as Optuna asks of a sampler in a forked process."""
        self._rng = np.random.default_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters of the chosen draw."""
        return {} if self._chosen is None else dict(self._chosen.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The values of the chosen draw."""
        return {} if self._chosen is None else {name: self._chosen.params[name] for name in search_space}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value at random."""
        return sampled(self._rng, param_distribution, None)


def new_draw(
    branch: str, method: Method, params: Params, distributions: Distributions, by: DrawnBy = "sampler"
) -> Draw:
    """The draw of a method, with its point."""
    return Draw(
        branch=branch, method=method, point=encode(method), params=params, distributions=distributions, by=by
    )


class _Candidate:
    """Suggests values as an Optuna trial does, and remembers them. near: values to stay near to, by name."""

    def __init__(self, rng: np.random.Generator, near: Params) -> None:
        self._rng = rng
        self._near = near
        self.params: dict[str, Any] = {}
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """A member of the choices."""
        return self._suggest(name, CategoricalDistribution(choices))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> Any:
        """A whole number in [low, high]."""
        return self._suggest(name, IntDistribution(low, high, log=log))

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> Any:
        """A number in [low, high]."""
        return self._suggest(name, FloatDistribution(low, high, log=log))

    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        self.distributions[name] = distribution
        self.params[name] = sampled(self._rng, distribution, self._near.get(name))
        return self.params[name]


def sampled(rng: np.random.Generator, distribution: BaseDistribution, near: Any) -> Any:
    """A value at random, or near another: None for none, and a value out of place is ignored.

    Near a value, a number takes a normal step of a tenth of its range, and a choice stays four times in five.
    """
    match distribution:
        case CategoricalDistribution(choices=choices):
            stays = near in choices and rng.random() < STAY
            return near if stays else choices[int(rng.integers(len(choices)))]
        case IntDistribution(low=low, high=high, log=log):
            value = round(_number(rng, low - 0.5, high + 0.5, log=log, near=near))
            return min(max(value, low), high)
        case FloatDistribution(low=low, high=high, log=log):
            return min(max(_number(rng, low, high, log=log, near=near), low), high)
    raise ValueError(f"a distribution must be categorical, int or float, got {distribution!r}")


def _number(rng: np.random.Generator, low: float, high: float, *, log: bool, near: Any) -> float:
    if log:
        low, high = math.log(low), math.log(high)
    place = rng.uniform(low, high)
    if isinstance(near, int | float) and (near > 0 or not log):
        place = (math.log(near) if log else near) + STEP * (high - low) * rng.normal()
    return math.exp(place) if log else place
