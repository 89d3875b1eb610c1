"""Optuna's side of the search: one study a branch, kept level with the ledger."""

from optuna.storages import BaseStorage

from search.config.schema import RunConfig
from search.ledger.events import AnyEvent, RungReached, TrialEnded
from search.ledger.record import Record, TrialRecord
from search.studies.branch_sampler import BranchSampler
from trainers.cache import digest


class Studies:
    """The branches' samplers, each made when it is first needed."""

    def __init__(self, config: RunConfig, record: Record, storage: BaseStorage) -> None:
        self._config = config
        self._record = record
        self._storage = storage
        self._rungs = config.search.pruning.rungs
        self._samplers: dict[str, BranchSampler] = {}
        self._settled = False

    def of(self, branch: str) -> BranchSampler:
        """The sampler of a branch. A process that takes over draws other methods than the last one did."""
        if branch not in self._samplers:
            drawn = self._record.tally("search", branch).started
            seed = int(digest(self._config.seed, branch, drawn)[:8], 16)
            self._samplers[branch] = BranchSampler(
                self._record.branches[branch].branch,
                self._config.naive,
                self._config.abilities,
                self._storage,
                seed,
            )
        return self._samplers[branch]

    def apply(self, event: AnyEvent) -> None:
        """Tell Optuna of a rung or of an end."""
        if self._settled and isinstance(event, RungReached | TrialEnded):
            trial = self._record.trials[event.trial]
            if isinstance(event, RungReached):
                self._report(trial, event)
            else:
                self.ended(trial)

    def settle(self) -> None:
        """Bring Optuna level with the ledger after a replay."""
        self.level()
        self._settled = True

    def _report(self, trial: TrialRecord, reached: RungReached) -> None:
        if trial.number is not None and reached.pgr is not None:
            self.of(trial.branch).report(trial.number, self._rungs.index(reached.share), reached.pgr)

    def ended(self, trial: TrialRecord) -> None:
        """Tell of a trial's end: with a value only where it was completed."""
        if trial.number is not None:
            assert trial.state is not None
            pgr = trial.last.pgr if trial.last else None
            self.of(trial.branch).tell(trial.number, trial.state, pgr)

    def level(self) -> None:
        """Tell of what the ledger has and Optuna has not; what only Optuna has heard of has failed.

        Trials that a study has lost, with its file or the end of it, are opened there again first.
        """
        known: dict[str, dict[int, TrialRecord]] = {branch: {} for branch in self._record.branches}
        for trial in self._record.of_purpose("search"):
            if trial.number is not None:
                known[trial.branch][trial.number] = trial
        for branch, trials in known.items():
            study = self.of(branch)
            for number in range(study.started, max(trials, default=-1) + 1):
                study.start_again(trials[number].method if number in trials else None)
            for number in study.open_numbers():
                if number in trials:
                    self._tell(trials[number])
                else:
                    study.tell(number, "failed", None)

    def _tell(self, trial: TrialRecord) -> None:
        for reached in trial.rungs.values():
            self._report(trial, reached)
        if trial.state is not None:
            self.ended(trial)
