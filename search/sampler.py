"""One Optuna study a branch: asked for methods, told what became of them."""

import warnings
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from agents.proposal import Branch, Choice, Fixed, Option, Param, Range, with_components
from search.ledger import EndState
from trainers.component import Component
from trainers.method import SLOTS, Abilities, Method

ATTEMPTS = 20  # draws before a branch counts as used up
_STATES: Mapping[EndState, TrialState] = {
    "completed": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass(frozen=True, kw_only=True)
class Draw:
    """A method drawn from a branch, and the number of its trial in the branch's study."""

    number: int
    method: Method


class BranchSampler:
    """Draws a branch's methods by TPE over its conditional space (Bergstra et al. 2011, Falkner et al. 2018).

    Parameters are named by slot and component, such as `loss.kind` and `loss.logconf.aux`.
    """

    def __init__(
        self, branch: Branch, naive: Method, abilities: Abilities, storage: BaseStorage, seed: int
    ) -> None:
        self._branch = branch
        self._naive = naive
        self._abilities = abilities
        self._storage = storage
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # `group` is what we need
            sampler = optuna.samplers.TPESampler(multivariate=True, group=True, n_startup_trials=4, seed=seed)
        self._study = optuna.create_study(
            study_name=branch.name,
            storage=storage,
            sampler=sampler,
            direction="maximize",
            load_if_exists=True,
        )
        self._study_id = storage.get_study_id_from_name(branch.name)

    def ask(self, known: Container[str]) -> Draw | None:
        """A method whose digest is not in `known`, or None when the branch has shown no new one in 20 draws.

        A combination that cannot work together, or not here, is told to the study as failed and drawn again.
        """
        for _ in range(ATTEMPTS):
            trial = self._study.ask()
            try:
                method = _suggest(trial, self._branch, self._naive)
            except ValueError:
                self._study.tell(trial, state=TrialState.FAIL)
                continue
            if method.digest not in known and method.refused(self._abilities) is None:
                return Draw(number=trial.number, method=method)
            self._study.tell(trial, state=TrialState.FAIL)
        return None

    def report(self, number: int, step: int, pgr: float) -> None:
        """Store the PGR of a trial at the rung with index `step`."""
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        self._storage.set_trial_intermediate_value(trial_id, step, pgr)

    def tell(self, number: int, state: EndState, pgr: float | None) -> None:
        """End a trial: completed with its PGR, pruned or failed. One that has ended stays as it is."""
        value = pgr if state == "completed" else None
        self._study.tell(number, value, state=_STATES[state], skip_if_finished=True)

    def open_numbers(self) -> Sequence[int]:
        """Trials that were drawn and not told about."""
        return [
            trial.number for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        ]


def _suggest(trial: optuna.Trial, branch: Branch, naive: Method) -> Method:
    components: dict[str, Component] = {}
    for slot in branch.slots:
        options = {option.component: option for option in slot.options}
        kind = next(iter(options))
        if len(options) > 1:
            kind = trial.suggest_categorical(f"{slot.slot}.kind", list(options))
        components[slot.slot] = _component(trial, slot.slot, options[kind])
    return with_components(naive, components)


def _component(trial: optuna.Trial, slot: str, option: Option) -> Component:
    component = SLOTS[slot][option.component]
    values = {
        param.name: _value(trial, f"{slot}.{option.component}.{param.name}", param, component)
        for param in option.params
    }
    return component(**values)


def _value(trial: optuna.Trial, name: str, param: Param, component: type[Component]) -> Any:
    match param:
        case Fixed():
            return param.value
        case Choice():
            return trial.suggest_categorical(name, param.values)
        case Range():
            if component.model_fields[param.name].annotation is int:
                return trial.suggest_int(name, round(param.low), round(param.high), log=param.log)
            return trial.suggest_float(name, param.low, param.high, log=param.log)
