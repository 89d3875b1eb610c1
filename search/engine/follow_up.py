"""What follows a search: its best methods on further seeds, stage after stage, and then the confirmation."""

from collections import deque
from collections.abc import Sequence

from search.config.schema import RunConfig
from search.engine.assignment import Assignment
from search.engine.confirmation import planned_confirmation
from search.engine.replication import planned_replication
from search.ledger.events import Purpose
from search.ledger.record import Record
from trainers.method import Method


class FollowUp:
    """Gives out the trials after the search, each with its branch; those that have started are left out."""

    def __init__(self, config: RunConfig, record: Record) -> None:
        self._config = config
        self._record = record
        self._replication: deque[tuple[str, Assignment]] = deque()
        self._confirmation: deque[tuple[str, Assignment]] | None = None

    @property
    def all_given(self) -> bool:
        """Whether there is nothing more to give out, now or later."""
        return self._confirmation is not None and not self._confirmation

    def next(self, *, idle: bool) -> tuple[str, Assignment] | None:
        """The next one; None where there is none, or none before others have ended. idle: none is running."""
        if self._confirmation is None:
            if not self._replication:  # at first, and after each stage
                if not idle:
                    return None
                self._replication = self._planned("r", "replicate", self._replicates())
            if self._replication:
                return self._replication.popleft()
            self._confirmation = self._planned(
                "c", "confirm", [("", *one) for one in planned_confirmation(self._config, self._record)]
            )
        return self._confirmation.popleft() if self._confirmation else None

    def _replicates(self) -> list[tuple[str, Method, int]]:
        planned = planned_replication(self._config, self._record)
        return [(trial.branch, trial.method, seed) for trial, seed in planned]

    def _planned(
        self, letter: str, purpose: Purpose, planned: Sequence[tuple[str, Method, int]]
    ) -> deque[tuple[str, Assignment]]:
        """What is still to start of a plan whose order lasts, given as (branch, method, seed)."""
        return deque(
            (branch, Assignment(trial=name, purpose=purpose, method=method, seed=seed, rungs=(1.0,)))
            for i, (branch, method, seed) in enumerate(planned, start=1)
            if (name := self._due(f"{letter}{i:05d}", purpose)) is not None
        )

    def _due(self, name: str, purpose: Purpose) -> str | None:
        """The name to start a planned trial under, None if it is not to start.

        A confirmation that failed in an earlier process is tried again under a name of its own, or one that
        fails once would keep a run from its outcome for ever. Not once the test split was opened: who is
        confirmed there must be settled before.
        """
        planned, attempts = name, 1
        while (trial := self._record.trials.get(name)) is not None:
            if purpose != "confirm" or trial.state != "failed" or self._record.test_openings:
                return None
            attempts += 1
            name = f"{planned}-{attempts}"
        return name
