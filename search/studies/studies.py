"""Optuna's side of the search: a study of the campaign and one of each branch, which listen to the ledger."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.storages import BaseStorage

from agents.language.proposal import Branch
from search.config.schema import RunConfig
from search.ledger.events import AnyEvent, Proposed, RungReached, TrialEnded, TrialStarted, new_branches
from search.ledger.steered import Steered
from search.studies.branch_sampler import BranchSampler
from search.studies.campaign import (
    CAMPAIGN,
    campaign_params,
    catalogue_distributions,
    searched_names,
    study_name,
)
from search.studies.mirror import StudyMirror
from search.studies.sampler import MethodSampler
from search.studies.space import recalled
from trainers.cache import digest

MakeSampler = Callable[..., BranchSampler]  # with the arguments of BranchSampler

TRIAL, BRANCH, NUMBER, BY = "trial", "branch", "number in branch", "named by"  # user attributes of a trial
ERROR, CAUSE, SECONDS = "standard error", "cause", "seconds of training"


@dataclass(kw_only=True)
class _Followed:
    """A trial of the search that the ledger has not ended: its numbers, and what it has shown so far."""

    branch: str
    number: int
    campaign_number: int
    rungs: dict[float, RungReached] = field(default_factory=dict)

    @property
    def pgr(self) -> float | None:
        """The highest at a rung."""
        return max((rung.pgr for rung in self.rungs.values() if rung.pgr is not None), default=None)

    @property
    def seconds(self) -> float:
        return sum(rung.train_s + rung.eval_s for rung in self.rungs.values())


class Studies:
    """The studies of a run. `apply` is the only way that they learn of trials.

    It may be called again with events that the studies know already, of this process or an earlier one: these
    change nothing. So replaying a whole ledger opens again what a lost or shortened journal has forgotten.
    """

    def __init__(
        self, config: RunConfig, storage: BaseStorage, make_sampler: MakeSampler = BranchSampler
    ) -> None:
        """make_sampler: makes what draws the methods of a branch."""
        self._config = config
        self._make_sampler = make_sampler
        self._storage = storage
        self._rungs = config.search.pruning.rungs
        self._branches: dict[str, Branch] = {}
        self._searched: dict[str, frozenset[str]] = {}
        self._mirrors: dict[str, StudyMirror] = {}
        self._samplers: dict[str, BranchSampler] = {}
        self._trials: dict[str, _Followed] = {}
        self._started: Counter[str] = Counter()
        self._campaign = self._open(CAMPAIGN)
        self._campaign_numbers = {
            (trial.user_attrs[BRANCH], trial.user_attrs[NUMBER]): trial.number
            for trial in self._campaign.study.get_trials(deepcopy=False)
            if NUMBER in trial.user_attrs
        }

    def _open(self, name: str) -> StudyMirror:
        return StudyMirror(self._storage, name, MethodSampler(self._config.seed))

    def _mirror(self, branch: str) -> StudyMirror:
        if branch not in self._mirrors:
            self._mirrors[branch] = self._open(study_name(branch))
        return self._mirrors[branch]

    def of(self, branch: str) -> BranchSampler:
        """The sampler of a branch. A process that takes over draws other methods than the last one did."""
        if branch not in self._samplers:
            self._samplers[branch] = self._make_sampler(
                self._branches[branch],
                self._config.naive,
                self._config.abilities,
                self._mirror(branch),
                seed=int(digest(self._config.seed, branch, self._started[branch])[:8], 16),
                sampler=self._config.search.sampler,
            )
        return self._samplers[branch]

    def apply(self, event: AnyEvent) -> None:
        """Take an event of the ledger into account."""
        match event:
            case Proposed() | Steered():
                for branch in new_branches(event):
                    self._branches[branch.name] = branch
                    self._searched[branch.name] = searched_names(branch)
            case TrialStarted(purpose="search", number=int(number)):
                if event.trial not in self._trials:  # it may go on after a pause
                    self._start(event, number)
            case RungReached() if event.trial in self._trials:
                self._reach(self._trials[event.trial], event)
            case TrialEnded() if event.trial in self._trials:
                self._end(self._trials.pop(event.trial), event)
            case _:
                pass

    def _start(self, event: TrialStarted, number: int) -> None:
        attrs = {TRIAL: event.trial, BRANCH: event.branch}
        if event.by != "sampler":
            attrs[BY] = event.by
        mirror = self._mirror(event.branch)
        mirror.fill(number)
        if number == len(mirror):
            lost = recalled(self._branches[event.branch], self._config.naive, event.method)
            mirror.add(lost.params, lost.distributions, attrs)
        mirror.note(number, attrs)
        self._started[event.branch] += 1
        self._trials[event.trial] = _Followed(
            branch=event.branch,
            number=number,
            campaign_number=self._campaign_number(event, attrs | {NUMBER: number}),
        )

    def _campaign_number(self, event: TrialStarted, attrs: Mapping[str, Any]) -> int:
        key = event.branch, attrs[NUMBER]
        if key not in self._campaign_numbers:
            params = campaign_params(event.method, self._searched[event.branch])
            distributions = {name: catalogue_distributions()[name] for name in params}
            self._campaign_numbers[key] = self._campaign.add(params, distributions, attrs)
        return self._campaign_numbers[key]

    def _reach(self, trial: _Followed, event: RungReached) -> None:
        if event.pgr is None:
            return
        trial.rungs[event.share] = event
        step, attrs = self._rungs.index(event.share), {ERROR: event.se, SECONDS: round(trial.seconds, 3)}
        self._mirror(trial.branch).report(trial.number, step, event.pgr, attrs)
        self._campaign.report(trial.campaign_number, step, event.pgr, attrs)

    def _end(self, trial: _Followed, event: TrialEnded) -> None:
        attrs = {} if event.cause is None else {CAUSE: event.cause}
        self._mirror(trial.branch).end(trial.number, event.state, trial.pgr, attrs)
        self._campaign.end(trial.campaign_number, event.state, trial.pgr, attrs)

    def settle(self) -> None:
        """After the replay of a ledger: trials that only Optuna has heard of have failed."""
        known: dict[str, set[int]] = defaultdict(set)
        for trial in self._trials.values():
            known[trial.branch].add(trial.number)
        for branch in self._branches:
            self._mirror(branch).settle(known[branch])
        self._campaign.settle({trial.campaign_number for trial in self._trials.values()})
