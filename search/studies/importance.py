"""How much each parameter decided PGR, in a branch or in the whole campaign: PED-ANOVA over completed trials.

By Optuna (Watanabe et al., 2023, arXiv:2304.10255): what it takes to be among the better trials.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from agents.language.proposal import Branch, branch_contains
from search.studies.parameters import Axis, Parameters, axes, parameters
from search.studies.space import recalled
from trainers.lazy import LazyModule
from trainers.method import Method

if TYPE_CHECKING:
    import optuna
else:
    optuna = LazyModule("optuna")  # small campaigns don't need it

FEWEST = 8  # completed trials of a branch; with fewer the evaluator tells noise
MIN_TRIALS = 12  # and of a campaign, where branches differ
NEWEST = 300  # trials that are looked at
MIN_RESAMPLED = 30  # trials of a campaign whose importances are given with their uncertainty
RESAMPLES, INTERVAL = 40, 0.8


def importance(
    branch: Branch, naive: Method, results: Sequence[tuple[Method, float]]
) -> tuple[tuple[str, float], ...]:
    """The shares of a branch's searched parameters, largest first, adding up to 1.

    results: (method, PGR) of its completed trials. Empty with fewer than eight of them, or where all have the
    same PGR.
    """
    return _shares(branch, naive, tuple(results[-NEWEST:]))


@lru_cache(maxsize=4096)  # every branch is asked about in every round, and few have new results by then
def _shares(
    branch: Branch, naive: Method, results: tuple[tuple[Method, float], ...]
) -> tuple[tuple[str, float], ...]:
    inside = [(m, pgr) for m, pgr in results if branch_contains(branch, m, naive)]
    if len(inside) < FEWEST or len({pgr for _, pgr in inside}) == 1:
        return ()
    trials = [_branch_trial(branch, naive, method, pgr) for method, pgr in inside]
    found = _evaluated(trials, target_quantile=0.3)
    return tuple((name, share) for name, share in found if share > 0)


def _branch_trial(branch: Branch, naive: Method, method: Method, pgr: float) -> optuna.trial.FrozenTrial:
    known = recalled(branch, naive, method)
    return optuna.trial.create_trial(params=known.params, distributions=known.distributions, value=pgr)


def campaign_importance(scored: Sequence[tuple[Method, float]]) -> list[tuple[str, float]]:
    """How much each parameter tells the best methods from the others, as shares, the largest first.

    scored: (method, PGR) of completed trials, all branches together. Empty with fewer than MIN_TRIALS of
    them, or where nothing varies. A parameter has the range that these methods span.
    """
    methods = [parameters(method) for method, _ in scored]
    found = {axis.name: axis for axis in axes(methods)}
    if len(scored) < MIN_TRIALS or not found:
        return []
    trials = [_axes_trial(values, pgr, found) for values, (_, pgr) in zip(methods, scored, strict=True)]
    return [(name, share) for name, share in _evaluated(trials) if math.isfinite(share)]


@dataclass(frozen=True, kw_only=True)
class Share:
    """A parameter's importance as a share of all, with an 80% interval of bootstrap samples of the trials."""

    name: str
    share: float
    low: float
    high: float


def importance_with_uncertainty(scored: Sequence[tuple[Method, float]], seed: int = 0) -> list[Share]:
    """`campaign_importance` with intervals; empty with fewer than MIN_RESAMPLED trials.

    The interval holds the middle of the shares in RESAMPLES bootstrap samples of the trials (Efron, 1979),
    and the share itself. It says how much hangs on the methods that were drawn and on noise.
    """
    newest = scored[-NEWEST:]
    shares = campaign_importance(newest) if len(newest) >= MIN_RESAMPLED else []
    if not shares:
        return []
    rng = np.random.default_rng(seed)
    drawn = [_resampled(newest, rng) for _ in range(RESAMPLES)]
    return [_share(name, share, [sample.get(name, 0.0) for sample in drawn]) for name, share in shares]


def _resampled(scored: Sequence[tuple[Method, float]], rng: np.random.Generator) -> dict[str, float]:
    return dict(campaign_importance([scored[i] for i in rng.integers(len(scored), size=len(scored))]))


def _share(name: str, share: float, samples: Sequence[float]) -> Share:
    low, high = np.quantile(samples, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    return Share(name=name, share=share, low=min(share, float(low)), high=max(share, float(high)))


def _axes_trial(values: Parameters, pgr: float, found: Mapping[str, Axis]) -> optuna.trial.FrozenTrial:
    kept = {name: value for name, value in values.items() if name in found}
    return optuna.trial.create_trial(
        value=pgr,
        params={name: str(value) if found[name].levels else float(value) for name, value in kept.items()},
        distributions={name: _distribution(found[name]) for name in kept},
    )


def _distribution(axis: Axis) -> optuna.distributions.BaseDistribution:
    if axis.levels:
        return optuna.distributions.CategoricalDistribution(axis.levels)
    return optuna.distributions.FloatDistribution(axis.low, axis.high, log=axis.log)


def _evaluated(
    trials: Sequence[optuna.trial.FrozenTrial], target_quantile: float = 0.1
) -> list[tuple[str, float]]:
    """Every parameter's share over completed trials, the largest first.

    target_quantile: the share of trials that count as the better ones; Optuna's default is 0.1.
    """
    # Imported here: it loads scikit-learn, which takes most of a second and which small campaigns don't need.
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    evaluator = PedAnovaImportanceEvaluator(target_quantile=target_quantile)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize", storage=optuna.storages.InMemoryStorage())
        study.add_trials(trials)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parameters that hardly vary, and of what is experimental
            shares = get_param_importances(study, evaluator=evaluator)
    finally:
        optuna.logging.set_verbosity(verbosity)
    return [(name, float(share)) for name, share in shares.items()]
