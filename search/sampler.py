"""One Optuna study a branch: asked for methods, told what became of them."""

import os
import re
import warnings
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import BaseTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from agents.proposal import Branch, Choice, Fixed, Option, Param, Range, with_components
from search.ledger import EndState, RunStarted
from trainers.component import Component
from trainers.method import SLOTS, Abilities, Method

ATTEMPTS = 20  # draws before a branch counts as used up
_STATES: Mapping[EndState, TrialState] = {
    "completed": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def open_journal(path: Path, url: str | None = None, started: RunStarted | None = None) -> BaseStorage:
    """Optuna's storage: in a file that only this process writes, or in the database at `url`.

    In a database the names of studies begin with the run that `started` tells of: others may use it, too. A
    ${NAME} in the URL stands for a variable of the environment. ValueError if it is not set, or the database
    cannot be opened.

    A lock that a killed process left behind is removed: the run directory's own lock keeps others out. So is
    a last line that was cut short: Optuna would read past it, but write its next line on to it.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url is not None:
        return _open_database(url, "" if started is None else f"{started.run}-{started.id}/")
    Path(f"{path}.lock").unlink(missing_ok=True)
    if path.is_file():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
    return JournalStorage(JournalFileBackend(str(path)))


class _RunStudies(RDBStorage):
    """One run's studies in a database: their names begin with the run, also for who asks without it."""

    def __init__(self, url: str, prefix: str) -> None:
        self._prefix = prefix
        # A campaign can leave a connection unused for hours; the server may have closed it by then.
        super().__init__(url, engine_kwargs={"pool_pre_ping": True})

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        return super().create_new_study(directions, self._full(study_name or ""))

    def get_study_id_from_name(self, study_name: str) -> int:
        return super().get_study_id_from_name(self._full(study_name))

    def _full(self, name: str) -> str:
        return name if name.startswith(self._prefix) else self._prefix + name


def _open_database(url: str, prefix: str) -> BaseStorage:
    filled = os.path.expandvars(url)
    if unset := re.search(r"\$\{(\w+)\}", filled):
        raise ValueError(f"optuna.storage: the environment has no {unset[1]}; set it, then start again")
    try:
        return _RunStudies(filled, prefix)
    except (SQLAlchemyError, ImportError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"optuna.storage: {url} cannot be opened: {reason}") from None


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
                method = suggest(trial, self._branch, self._naive)
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


def suggest(trial: BaseTrial, branch: Branch, naive: Method) -> Method:
    """A method of the branch with the trial's values; ValueError for a combination that cannot work."""
    components: dict[str, Component] = {}
    for slot in branch.slots:
        options = {option.component: option for option in slot.options}
        kind = next(iter(options))
        if len(options) > 1:
            kind = trial.suggest_categorical(f"{slot.slot}.kind", list(options))
        components[slot.slot] = _component(trial, slot.slot, options[kind])
    return with_components(naive, components)


def _component(trial: BaseTrial, slot: str, option: Option) -> Component:
    component = SLOTS[slot][option.component]
    values = {
        param.name: _value(trial, f"{slot}.{option.component}.{param.name}", param, component)
        for param in option.params
    }
    return component(**values)


def _value(trial: BaseTrial, name: str, param: Param, component: type[Component]) -> Any:
    match param:
        case Fixed():
            return param.value
        case Choice():
            return trial.suggest_categorical(name, param.values)
        case Range():
            if component.model_fields[param.name].annotation is int:
                return trial.suggest_int(name, round(param.low), round(param.high), log=param.log)
            return trial.suggest_float(name, param.low, param.high, log=param.log)
