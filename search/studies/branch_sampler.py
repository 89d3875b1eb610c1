"""What a branch has to offer, and its Optuna study: told what was started and what became of it."""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from agents.language.proposal import Branch, Choice, Fixed, Option, Param, Range, with_components
from search.ledger.events import EndState
from search.policy.encoding import encode
from search.scoring.pgr import Reals
from trainers.component import Component
from trainers.method import SLOTS, Abilities, Method

ATTEMPTS = 20  # draws before a branch counts as used up
RENEWED = 8  # draws each time that a branch is asked; those from before are kept
STAY, STEP = 0.8, 0.1
_STATES: Mapping[EndState, TrialState] = {
    "completed": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass(frozen=True, kw_only=True)
class Draw:
    """A method drawn from a branch, as a point for the surrogate and as parameters for the branch's study."""

    branch: str
    method: Method
    point: Reals
    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]


class BranchSampler:
    """Draws a branch's methods over its conditional space, and keeps its study.

    Half of the draws are made at random, half near a good method: which of them is worth a trial is for the
    surrogate to say. Parameters are named by slot and component, such as `loss.kind` and `loss.logconf.aux`.
    """

    def __init__(
        self, branch: Branch, naive: Method, abilities: Abilities, storage: BaseStorage, seed: int
    ) -> None:
        self._branch = branch
        self._naive = naive
        self._abilities = abilities
        self._storage = storage
        self._draws = np.random.default_rng(seed)
        self._offered: dict[str, Draw] = {}
        self._study = optuna.create_study(
            study_name=branch.name,
            storage=storage,
            sampler=optuna.samplers.RandomSampler(),  # never asked: the draws come from here
            direction="maximize",
            load_if_exists=True,
        )
        self._study_id = storage.get_study_id_from_name(branch.name)

    def offer(self, count: int, known: Container[str], near: Method | None) -> Sequence[Draw]:
        """At most so many draws whose digests are not in `known`, each time with some new ones among them.

        near: a method to draw near to, of this branch or not. None are left when the branch has shown no new
        method in 20 draws. A combination that cannot work together, or not here, is left out.
        """
        self._offered = {name: draw for name, draw in self._offered.items() if name not in known}
        for attempt in range(ATTEMPTS):
            if attempt >= RENEWED and self._offered:
                break
            draw = self._draw(near if attempt % 2 else None)
            if draw is not None and draw.method.digest not in known:
                self._offered.pop(draw.method.digest, None)
                self._offered[draw.method.digest] = draw
        self._offered = dict(list(self._offered.items())[-count:])
        return list(self._offered.values())

    def _draw(self, near: Method | None) -> Draw | None:
        dice = _Dice(self._draws, near)
        try:
            method = suggest(dice, self._branch, self._naive)
        except ValueError:
            return None
        if method.refused(self._abilities) is not None:
            return None
        return Draw(
            branch=self._branch.name,
            method=method,
            point=encode(method),
            params=dice.params,
            distributions=dice.distributions,
        )

    def start(self, draw: Draw) -> int:
        """Open a trial in the study; returns its number there."""
        return self._open(draw.params, draw.distributions)

    def start_again(self, method: Method | None) -> int:
        """Open a trial that the study has lost, with the number after its last one, which is returned.

        method: what was drawn then, of this branch; None where that is not known either.
        """
        dice = _Memory(self._draws, method)
        if method is not None:
            suggest(dice, self._branch, self._naive)
        return self._open(dice.params, dice.distributions)

    def _open(self, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> int:
        trial = optuna.trial.create_trial(
            state=TrialState.RUNNING, params=dict(params), distributions=dict(distributions)
        )
        trial_id = self._storage.create_new_trial(self._study_id, template_trial=trial)
        return self._storage.get_trial_number_from_id(trial_id)

    def report(self, number: int, step: int, pgr: float) -> None:
        """Store the PGR of a trial at the rung with index `step`."""
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        self._storage.set_trial_intermediate_value(trial_id, step, pgr)

    def tell(self, number: int, state: EndState, pgr: float | None) -> None:
        """End a trial: completed with its PGR, pruned or failed. One that has ended stays as it is."""
        value = pgr if state == "completed" else None
        self._study.tell(number, value, state=_STATES[state], skip_if_finished=True)

    @property
    def started(self) -> int:
        """How many trials the study knows of."""
        return len(self._study.get_trials(deepcopy=False))

    def open_numbers(self) -> Sequence[int]:
        """Trials that were started and not told about."""
        return [
            trial.number for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        ]


class _Dice:
    """Suggests as an Optuna trial does, at random or near a method, and remembers what.

    Near a method a number takes a normal step of a tenth of its range, and a choice stays four times in five.
    """

    def __init__(self, draws: np.random.Generator, near: Method | None) -> None:
        self._draws = draws
        self._near = near
        self.params: dict[str, Any] = {}
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        there = self._there(name)
        stays = there in choices and self._draws.random() < STAY
        value = there if stays else choices[int(self._draws.integers(len(choices)))]
        return self._noted(name, value, CategoricalDistribution(choices))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int:
        """A whole number in [low, high]."""
        value = round(self._number(name, low - 0.5, high + 0.5, log=log))
        kept = min(max(value, low), high)
        self._noted(name, kept, IntDistribution(low, high, log=log))
        return kept

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        """A number in [low, high]."""
        value = min(max(self._number(name, low, high, log=log), low), high)
        self._noted(name, value, FloatDistribution(low, high, log=log))
        return value

    def _number(self, name: str, low: float, high: float, *, log: bool) -> float:
        there = self._there(name)
        if log:
            low, high = math.log(low), math.log(high)
        place = self._draws.uniform(low, high)
        if isinstance(there, int | float) and (there > 0 or not log):
            place = (math.log(there) if log else there) + STEP * (high - low) * self._draws.normal()
        return math.exp(place) if log else place

    def _there(self, name: str) -> Any:
        """What the method that we draw near to has in this place, None where it has no such place."""
        slot, *rest = name.split(".")
        component = getattr(self._near, slot, None)
        if component is None or rest == ["kind"]:
            return getattr(component, "kind", None)
        kind, param = rest
        return getattr(component, param) if component.kind == kind else None

    def _noted(self, name: str, value: Any, distribution: BaseDistribution) -> Any:
        self.params[name], self.distributions[name] = value, distribution
        return value


class _Memory(_Dice):
    """Suggests once more what a method was made of."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """The choice that was taken."""
        return self._noted(name, self._there(name), CategoricalDistribution(choices))

    def _number(self, name: str, low: float, high: float, *, log: bool) -> float:
        return float(self._there(name))


class Dice(Protocol):
    """What draws the values of a method's parameters, by the names that its branch's study gives them."""

    def suggest_categorical(self, name: str, choices: Sequence[Any], /) -> Any:
        """One of the choices."""
        ...

    def suggest_int(self, name: str, low: int, high: int, /, *, log: bool) -> int:
        """A whole number in [low, high]."""
        ...

    def suggest_float(self, name: str, low: float, high: float, /, *, log: bool) -> float:
        """A number in [low, high]."""
        ...


def suggest(dice: Dice, branch: Branch, naive: Method) -> Method:
    """A method of the branch with the drawn values; ValueError for a combination that cannot work."""
    components: dict[str, Component] = {}
    for slot in branch.slots:
        options = {option.component: option for option in slot.options}
        kind = next(iter(options))
        if len(options) > 1:
            kind = dice.suggest_categorical(f"{slot.slot}.kind", list(options))
        components[slot.slot] = _component(dice, slot.slot, options[kind])
    return with_components(naive, components)


def _component(dice: Dice, slot: str, option: Option) -> Component:
    component = SLOTS[slot][option.component]
    values = {
        param.name: _value(dice, f"{slot}.{option.component}.{param.name}", param, component)
        for param in option.params
    }
    return component(**values)


def _value(dice: Dice, name: str, param: Param, component: type[Component]) -> Any:
    match param:
        case Fixed():
            return param.value
        case Choice():
            return dice.suggest_categorical(name, param.values)
        case Range():
            if component.model_fields[param.name].annotation is int:
                return dice.suggest_int(name, round(param.low), round(param.high), log=param.log)
            return dice.suggest_float(name, param.low, param.high, log=param.log)
