"""How much each parameter of a branch decided PGR: Optuna's evaluator over the branch's completed trials."""

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from agents.language.proposal import Branch, branch_contains
from search.studies.branch_sampler import suggest
from trainers.method import Method

FEWEST = 8  # completed trials; with fewer the evaluator tells noise
NEWEST = 300  # trials that are looked at


def importance(
    branch: Branch, naive: Method, results: Sequence[tuple[Method, float]]
) -> tuple[tuple[str, float], ...]:
    """The shares of a branch's searched parameters, largest first, adding up to 1.

    results: (method, PGR) of its completed trials. Empty with fewer than eight of them, or where all have the
    same PGR. By PED-ANOVA (Watanabe et al., 2023): what it takes to be among the branch's better trials.
    """
    return _shares(branch, naive, tuple(results[-NEWEST:]))


@lru_cache(maxsize=4096)  # every branch is asked about in every round, and few have new results by then
def _shares(
    branch: Branch, naive: Method, results: tuple[tuple[Method, float], ...]
) -> tuple[tuple[str, float], ...]:
    inside = [(m, pgr) for m, pgr in results if branch_contains(branch, m, naive)]
    if len(inside) < FEWEST or len({pgr for _, pgr in inside}) == 1:
        return ()
    study = optuna.create_study(
        direction="maximize",
        storage=optuna.storages.InMemoryStorage(),
        sampler=optuna.samplers.RandomSampler(),
    )
    study.add_trials([_frozen(branch, naive, method, pgr) for method, pgr in inside])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about parameters that hardly vary
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=0.3))
    return tuple((name, float(share)) for name, share in found.items() if share > 0)


def _frozen(branch: Branch, naive: Method, method: Method, pgr: float) -> FrozenTrial:
    trial = FixedTrial(_params(branch, method))
    suggest(trial, branch, naive)
    return create_trial(
        state=TrialState.COMPLETE, params=trial.params, distributions=trial.distributions, value=pgr
    )


def _params(branch: Branch, method: Method) -> dict[str, Any]:
    """The method's values under the names that the sampler gives them."""
    named: dict[str, Any] = {}
    for slot in branch.slots:
        component = getattr(method, slot.slot)
        named[f"{slot.slot}.kind"] = component.kind
        for name in type(component).model_fields:
            named[f"{slot.slot}.{component.kind}.{name}"] = getattr(component, name)
    return named
