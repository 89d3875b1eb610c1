"""Optuna's side of the search: one study a branch, kept level with the ledger."""

from optuna.storages import BaseStorage

from search.config import RunConfig
from search.record import Record, TrialRecord
from search.sampler import BranchSampler
from trainers.cache import digest


class Studies:
    """The branches' samplers, each made when it is first needed."""

    def __init__(self, config: RunConfig, record: Record, storage: BaseStorage) -> None:
        self._config = config
        self._record = record
        self._storage = storage
        self._rungs = config.search.pruning.rungs
        self._samplers: dict[str, BranchSampler] = {}

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

    def reached(self, trial: TrialRecord) -> None:
        """Tell of the highest rung of a trial."""
        if trial.number is not None and trial.last is not None and trial.last.pgr is not None:
            step = self._rungs.index(trial.last.share)
            self.of(trial.branch).report(trial.number, step, trial.last.pgr)

    def ended(self, trial: TrialRecord) -> None:
        """Tell of a trial's end: with a value only where it was completed."""
        if trial.number is not None:
            assert trial.state is not None
            pgr = trial.last.pgr if trial.last else None
            self.of(trial.branch).tell(trial.number, trial.state, pgr)

    def level(self) -> None:
        """Tell of what the ledger has and Optuna has not; what only Optuna has heard of has failed."""
        known = {(trial.branch, trial.number): trial for trial in self._record.of_purpose("search")}
        for branch in self._record.branches:
            for number in self.of(branch).open_numbers():
                trial = known.get((branch, number))
                if trial is None:
                    self.of(branch).tell(number, "failed", None)
                    continue
                self.reached(trial)
                if trial.state is not None:
                    self.ended(trial)
