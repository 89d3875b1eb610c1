"""A branch's conditional space, as a define-by-run function of whatever suggests values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from agents.language.naming import kind_name, method_values, param_name
from agents.language.proposal import Branch, Choice, Fixed, Option, Param, Range, with_components
from trainers.component import Component
from trainers.lazy import LazyModule
from trainers.method import SLOTS, Method

if TYPE_CHECKING:
    import optuna
else:
    optuna = LazyModule("optuna")  # what checks a person's branch comes by here, and suggests nothing


class Suggester(Protocol):
    """Suggests the values of parameters by name: an Optuna trial does, and so does a draw without a trial."""

    def suggest_categorical(self, name: str, choices: Sequence[Any], /) -> Any:
        """A member of the choices."""
        ...

    def suggest_int(self, name: str, low: int, high: int, /, *, log: bool) -> int:
        """A whole number in [low, high]."""
        ...

    def suggest_float(self, name: str, low: float, high: float, /, *, log: bool) -> float:
        """A number in [low, high]."""
        ...


def suggest(trial: Suggester, branch: Branch, naive: Method) -> Method:
    """A method of the branch with the suggested values; ValueError for a combination that cannot work.

    A slot with a single option, and a parameter that the branch fixes, are not asked for.
    """
    components: dict[str, Component] = {}
    for slot in branch.slots:
        options = {option.component: option for option in slot.options}
        kind = next(iter(options))
        if len(options) > 1:
            kind = trial.suggest_categorical(kind_name(slot.slot), list(options))
        components[slot.slot] = _component(trial, slot.slot, options[kind])
    return with_components(naive, components)


def recalled(branch: Branch, naive: Method, method: Method) -> optuna.trial.FixedTrial:
    """The parameters, and their distributions, that make up a method of the branch."""
    trial = optuna.trial.FixedTrial(method_values(method))
    suggest(trial, branch, naive)
    return trial


def _component(trial: Suggester, slot: str, option: Option) -> Component:
    component = SLOTS[slot][option.component]
    values = {
        param.name: _value(trial, param_name(slot, option.component, param.name), param, component)
        for param in option.params
    }
    return component(**values)


def _value(trial: Suggester, name: str, param: Param, component: type[Component]) -> Any:
    match param:
        case Fixed():
            return param.value
        case Choice():
            return trial.suggest_categorical(name, param.values)
        case Range():
            if component.model_fields[param.name].annotation is int:
                return trial.suggest_int(name, round(param.low), round(param.high), log=param.log)
            return trial.suggest_float(name, param.low, param.high, log=param.log)
