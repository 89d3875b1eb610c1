"""The whole campaign as one study: all trials of the search, with parameters over the catalogue."""

from collections.abc import Container, Mapping
from functools import cache
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from agents.language.catalogue import ParamSpec, param_specs
from agents.language.naming import kind_name, method_values, param_name
from agents.language.proposal import Branch, Fixed
from trainers.method import SLOTS, Method

CAMPAIGN = "campaign"


def study_name(branch: str) -> str:
    """What a branch's study is called: as the branch is. No branch has a space in its name."""
    return branch if branch != CAMPAIGN else f"branch {branch}"


@cache
def catalogue_distributions() -> Mapping[str, BaseDistribution]:
    """The parameters that methods can have, by name, each within its field's bounds.

    A branch searches a part of each, and another branch another part: in a study over all branches a name
    has one distribution. A parameter without bounds, or with values of another type, has none.
    """
    found: dict[str, BaseDistribution] = {}
    for slot, kinds in SLOTS.items():
        if len(kinds) > 1:
            found[kind_name(slot)] = CategoricalDistribution(tuple(kinds))
        for kind, component in kinds.items():
            for spec in param_specs(component).values():
                if distribution := _distribution(spec):
                    found[param_name(slot, kind, spec.name)] = distribution
    return found


def _distribution(spec: ParamSpec) -> BaseDistribution | None:
    if spec.members or spec.type == "boolean":
        return CategoricalDistribution(spec.members or (False, True))
    if not spec.ordered or spec.low is None or spec.high is None:
        return None
    if spec.type == "integer":
        return IntDistribution(int(spec.low), int(spec.high), log=spec.log_scale)
    return FloatDistribution(spec.low, spec.high, log=spec.log_scale)


def searched_names(branch: Branch) -> frozenset[str]:
    """The parameters that a branch leaves open in its components."""
    return frozenset(
        param_name(slot.slot, option.component, param.name)
        for slot in branch.slots
        for option in slot.options
        for param in option.params
        if not isinstance(param, Fixed)
    )


def campaign_params(method: Method, searched: Container[str]) -> dict[str, Any]:
    """The values of a method that the study over all branches shows.

    Every slot's component, and its parameters without those that nobody looks at: at the component's default,
    and not searched by the branch. Ten thousand trials with all of them would make a journal of 70 MB.
    """
    found, defaults = catalogue_distributions(), _defaults()
    return {
        name: value
        for name, value in method_values(method).items()
        if _within(found.get(name), value)
        and (name in searched or name not in defaults or defaults[name] != value)
    }


@cache
def _defaults() -> Mapping[str, Any]:
    return {
        param_name(slot, kind, spec.name): spec.default
        for slot, kinds in SLOTS.items()
        for kind, component in kinds.items()
        for spec in param_specs(component).values()
    }


def _within(distribution: BaseDistribution | None, value: Any) -> bool:
    match distribution:
        case CategoricalDistribution(choices=choices):
            return value in choices
        case IntDistribution(low=low, high=high) | FloatDistribution(low=low, high=high):
            return isinstance(value, int | float) and low <= value <= high
    return False
