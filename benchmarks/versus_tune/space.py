"""What the opponents search: the first proposal's branches, as a define-by-run space of Optuna."""

from typing import Any

from agents.language.proposal import Choice, Fixed, Param, Range, with_components
from search.config.schema import RunConfig
from search.engine.findings import brief
from search.engine.proposers import new_proposer
from search.ledger.record import Record
from trainers.component import Component
from trainers.method import SLOTS

WORKERS = 2
NINTHS = (1, 3, 9)  # of a trial's training: ASHA's rungs with a grace period of 1 and a factor of 3


class Space:
    """The first proposal's branches as one define-by-run space; what it returns joins Tune's config.

    A class at the top of a module, because OptunaSearch pickles it.
    """

    def __init__(self, config: RunConfig) -> None:
        proposal = new_proposer(config, None).propose(brief(config, Record()))
        self._branches = {branch.name: branch for branch in proposal.branches}
        self._naive = config.naive

    def __call__(self, trial: Any) -> dict[str, Any]:
        """Suggest a branch, then a component for each of its slots, then their parameters."""
        branch = self._branches[trial.suggest_categorical("branch", list(self._branches))]
        components = {}
        for slot in branch.slots:
            where, options = (
                f"{branch.name}.{slot.slot}",
                {option.component: option for option in slot.options},
            )
            kind = trial.suggest_categorical(f"{where}.kind", list(options))
            component = SLOTS[slot.slot][kind]
            values = {
                param.name: _suggested(trial, f"{where}.{kind}.{param.name}", param, component)
                for param in options[kind].params
            }
            components[slot.slot] = component(**values)
        return {"method": with_components(self._naive, components).model_dump_json()}


def _suggested(trial: Any, name: str, param: Param, component: type[Component]) -> Any:
    match param:
        case Fixed():
            return param.value
        case Choice():
            return trial.suggest_categorical(name, list(param.values))
        case Range():
            if component.model_fields[param.name].annotation is int:
                return trial.suggest_int(name, round(param.low), round(param.high), log=param.log)
            return trial.suggest_float(name, param.low, param.high, log=param.log)
