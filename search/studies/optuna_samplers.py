"""TPE and GP: candidates from Optuna's own samplers, asked on a copy of a branch's study."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from agents.language.proposal import Branch
from search.studies.sampler import Draw, new_draw
from search.studies.space import suggest
from trainers.method import Method


@dataclass(frozen=True, kw_only=True)
class OptunaSampler:
    """One of Optuna's samplers, and what it is shown of a trial."""

    sampler: BaseSampler
    view: Callable[[FrozenTrial], FrozenTrial]

    def draws(self, study: optuna.Study, branch: Branch, naive: Method, attempts: int) -> Iterator[Draw]:
        """At most so many suggestions after the trials of the branch's study.

        They are asked in a copy in memory: a suggestion that is refused leaves nothing in the study, and in
        the copy it stays a running trial, which keeps the sampler from suggesting it again.
        """
        copy = optuna.create_study(storage=InMemoryStorage(), sampler=self.sampler, direction="maximize")
        copy.add_trials([self.view(trial) for trial in study.get_trials(deepcopy=False)])
        for _ in range(attempts):
            trial = copy.ask()
            try:
                method = suggest(trial, branch, naive)
            except ValueError:  # a combination that cannot work
                continue
            yield new_draw(branch.name, method, trial.params, trial.distributions)


def _tpe(seed: int) -> OptunaSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        sampler = TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
    return OptunaSampler(sampler=sampler, view=_paused_as_pruned)


def _paused_as_pruned(trial: FrozenTrial) -> FrozenTrial:
    """A trial that has reached a rung counts by its PGR there: TPE counts a running trial as bad."""
    if trial.state != TrialState.RUNNING or not trial.intermediate_values:
        return trial
    return create_trial(
        state=TrialState.PRUNED,
        value=trial.intermediate_values[max(trial.intermediate_values)],
        params=trial.params,
        distributions=trial.distributions,
        intermediate_values=trial.intermediate_values,
    )


def _gp(seed: int) -> OptunaSampler:
    """Conditional parameters are drawn at random: the sampler fits what all completed trials share."""
    return OptunaSampler(
        sampler=GPSampler(seed=seed, warn_independent_sampling=False), view=lambda trial: trial
    )


OPTUNA_SAMPLERS: Mapping[str, Callable[[int], OptunaSampler]] = {"tpe": _tpe, "gp": _gp}
