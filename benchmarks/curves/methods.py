"""The strategies compared on recorded curves: Optuna's samplers and pruners, and Ray's, as one gets them."""

import logging
import warnings
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.curves.data import Curves, Pool, Reals, units
from benchmarks.curves.promotion import Ours
from benchmarks.curves.simulation import Strategy

FIRST_RUNG = 2  # evaluation 1 is the untrained model
ETA = 3


def _distributions(curves: Curves) -> dict[str, BaseDistribution]:
    return {f"x{i}": FloatDistribution(0.0, 1.0) for i in range(curves.hp.shape[1])}


class OptunaStrategy:
    """Optuna's ask and tell, a diverged trial told as failed; a suggestion becomes the nearest unused row."""

    def __init__(self, curves: Curves, sampler: BaseSampler, pruner: BasePruner) -> None:
        self._distributions = _distributions(curves)
        self._pool = Pool(units(curves.hp))
        self._last = curves.evaluations
        self._trials: dict[int, optuna.Trial] = {}
        self._study = optuna.create_study(direction="minimize", sampler=sampler, pruner=pruner)

    def assign(self) -> int | None:
        """The row nearest to a suggestion."""
        if not self._pool.left.any():
            return None
        trial = self._study.ask(self._distributions)
        row = self._pool.nearest(_point(trial.params))
        assert row is not None
        self._trials[row] = trial
        return row

    def report(self, row: int, evaluation: int, loss: float) -> bool:
        """Whether the pruner lets the trial go on."""
        trial = self._trials[row]
        if np.isnan(loss):
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            return False
        trial.report(loss, evaluation)
        if evaluation == self._last:
            self._study.tell(trial, loss)
            return False
        if trial.should_prune():
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return False
        return True


class RayAsha:
    """Ray Tune's AsyncHyperBandScheduler with OptunaSearch, called as a Tuner calls them."""

    def __init__(self, curves: Curves, seed: int) -> None:
        self._pool = Pool(units(curves.hp))
        self._last = curves.evaluations
        self._search = OptunaSearch(_distributions(curves), metric="loss", mode="min", seed=seed)
        self._scheduler = AsyncHyperBandScheduler(
            metric="loss", mode="min", max_t=self._last, grace_period=FIRST_RUNG, reduction_factor=ETA
        )
        self._trials: dict[int, SimpleNamespace] = {}

    def assign(self) -> int | None:
        """The row nearest to a suggestion."""
        if not self._pool.left.any():
            return None
        trial = SimpleNamespace(trial_id=f"t{len(self._trials)}")
        params = self._search.suggest(trial.trial_id)
        row = self._pool.nearest(_point(params))
        assert row is not None
        self._trials[row] = trial
        self._scheduler.on_trial_add(None, trial)
        return row

    def report(self, row: int, evaluation: int, loss: float) -> bool:
        """Whether the scheduler lets the trial go on."""
        trial, result = self._trials[row], {"training_iteration": evaluation, "loss": loss}
        if self._scheduler.on_trial_result(None, trial, result) == TrialScheduler.STOP:
            self._search.on_trial_complete(trial.trial_id, result)
            return False
        self._search.on_trial_result(trial.trial_id, result)
        return True


def _point(params: Mapping[str, float]) -> Reals:
    return np.array([params[f"x{i}"] for i in range(len(params))])


def _optuna(sampler: Callable[[int], BaseSampler], pruner: Callable[[Curves], BasePruner]) -> "Maker":
    return lambda curves, seed: OptunaStrategy(curves, sampler(seed), pruner(curves))


def _random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


def _tpe(seed: int) -> BaseSampler:
    return TPESampler(seed=seed)


Maker = Callable[[Curves, int], Strategy]

METHODS: dict[str, Maker] = {
    "ours": Ours,
    "random": _optuna(_random, lambda _: NopPruner()),
    "tpe": _optuna(_tpe, lambda _: NopPruner()),
    "sha": _optuna(_tpe, lambda _: SuccessiveHalvingPruner(min_resource=FIRST_RUNG, reduction_factor=ETA)),
    "hyperband": _optuna(
        _tpe,
        lambda curves: HyperbandPruner(
            min_resource=FIRST_RUNG, max_resource=curves.evaluations, reduction_factor=ETA
        ),
    ),
    "median": _optuna(_tpe, lambda _: MedianPruner(n_warmup_steps=FIRST_RUNG)),
    "asha": RayAsha,
}


def quiet() -> None:
    """Keep Optuna and Ray from commenting on every trial."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("ray").setLevel(logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
