"""A study of Optuna that mirrors the ledger; applying an event twice changes nothing."""

import warnings
from collections.abc import Container, Iterable, Mapping
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import Trial, TrialState, create_trial

from search.ledger.events import EndState

OBJECTIVE = "PGR"
LOST = "not in the ledger: the process ended before this trial was written down"
_STATES: Mapping[EndState, TrialState] = {
    "completed": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
_NONE: Mapping[str, Any] = {}


class _OpenTrial:
    """A trial that has not ended in the study."""

    def __init__(self, trial: Trial, steps: Iterable[int] = (), attrs: Mapping[str, Any] = _NONE) -> None:
        self._trial = trial
        self._steps = set(steps)
        self._attrs = dict(attrs)

    def report(self, step: int, pgr: float) -> None:
        if step not in self._steps:
            self._trial.report(pgr, step)
            self._steps.add(step)

    def note(self, attrs: Mapping[str, Any]) -> None:
        for name, value in attrs.items():
            if self._attrs.get(name) != value:
                self._trial.set_user_attr(name, value)
                self._attrs[name] = value


class StudyMirror:
    """A study whose trials are identified by number; ended trials are never changed.

    The study's trials are read once, when it is opened. Nobody else may write it.
    """

    def __init__(self, storage: BaseStorage, name: str, sampler: BaseSampler) -> None:
        self.study = optuna.create_study(
            study_name=name, storage=storage, sampler=sampler, direction="maximize", load_if_exists=True
        )
        self._storage = storage
        self._id = storage.get_study_id_from_name(name)
        self.version = 0  # counts this process's changes to the study
        if self.study.metric_names is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                self.study.set_metric_names([OBJECTIVE])
        known = self.study.get_trials(deepcopy=False)
        self._size = len(known)
        self._open = {
            trial.number: _OpenTrial(self._handle(trial.number), trial.intermediate_values, trial.user_attrs)
            for trial in known
            if trial.state == TrialState.RUNNING
        }

    def __len__(self) -> int:
        return self._size

    def _handle(self, number: int) -> Trial:
        """What reports of a trial go through, where `ask` has not returned it to this process."""
        return Trial(self.study, self._storage.get_trial_id_from_study_id_trial_number(self._id, number))

    def ask(self) -> Trial:
        """A new trial, with parameters to be suggested."""
        trial = self.study.ask()
        self._opened(_OpenTrial(trial))
        return trial

    def add(
        self, params: Mapping[str, Any], distributions: Mapping[str, Any], attrs: Mapping[str, Any]
    ) -> int:
        """Open a trial with parameters that are known; returns its number."""
        self.study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=dict(params),
                distributions=dict(distributions),
                user_attrs=dict(attrs),
            )
        )
        self._opened(_OpenTrial(self._handle(self._size), attrs=attrs))
        return self._size - 1

    def _opened(self, trial: _OpenTrial) -> None:
        self._open[self._size] = trial
        self._size += 1
        self.version += 1

    def fill(self, size: int) -> None:
        """Add failed trials until the study has `size`: trials that the ledger does not know."""
        while self._size < size:
            self.study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={"cause": LOST}))
            self._size += 1
            self.version += 1

    def note(self, number: int, attrs: Mapping[str, Any]) -> None:
        """Set user attributes of a trial that has not ended."""
        if trial := self._open.get(number):
            trial.note(attrs)

    def report(self, number: int, step: int, pgr: float, attrs: Mapping[str, Any]) -> None:
        """Store the PGR of a trial at the rung with index `step`, and its user attributes there."""
        if trial := self._open.get(number):
            trial.report(step, pgr)
            trial.note(attrs)
            self.version += 1

    def end(self, number: int, state: EndState, pgr: float | None, attrs: Mapping[str, Any]) -> None:
        """End a trial: completed with its PGR, pruned or failed. A trial that has ended stays as it is."""
        if trial := self._open.pop(number, None):
            trial.note(attrs)
            self.study.tell(number, pgr if state == "completed" else None, state=_STATES[state])
            self.version += 1

    def settle(self, known: Container[int]) -> None:
        """Fail the open trials whose numbers are not known."""
        for number in [number for number in self._open if number not in known]:
            self.end(number, "failed", None, {"cause": LOST})
