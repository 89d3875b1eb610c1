"""The trials after the search: replication on further seeds, stage by stage, then the confirmation.

At last, when nothing of the search is left to decide, the confirmation on hidden tasks, one after another.
"""

from collections import deque
from collections.abc import Sequence

from search.config.schema import RunConfig
from search.config.tasks import HiddenTask
from search.engine.assignment import Assignment
from search.engine.confirmation import planned_confirmation
from search.engine.replication import planned_replication
from search.ledger.events import Purpose
from search.ledger.record import Record
from trainers.method import Method


class FollowUp:
    """Hands out the trials after the search that have not started, each with its branch."""

    def __init__(self, config: RunConfig, record: Record) -> None:
        self._config = config
        self._record = record
        self._replication: deque[tuple[str, Assignment]] = deque()
        self._confirmation: deque[tuple[str, Assignment]] | None = None

    def confirm_on(self, hidden: HiddenTask) -> None:
        """Hand out the confirmation on a hidden task next. Nothing else must be left to hand out."""
        place = next(i for i, one in enumerate(self._config.hidden, start=1) if one == hidden)
        planned = planned_confirmation(self._config, self._record, hidden)
        methods = [("", method, seed) for method, seed in planned]
        self._confirmation = self._planned(f"h{place}-", "hidden", methods, task=hidden.name)

    @property
    def all_handed_out(self) -> bool:
        """Whether no trial is left to hand out, now or later."""
        return self._confirmation is not None and not self._confirmation

    def next(self, *, idle: bool) -> tuple[str, Assignment] | None:
        """The next trial and its branch, None if there is none yet or at all. idle: no trial is running."""
        if self._confirmation is None:
            if not self._replication:  # at first, and after each stage
                if not idle:
                    return None
                self._replication = self._planned("r", "replicate", self._replicates())
            if self._replication:
                return self._replication.popleft()
            self._confirmation = self._planned(
                "c",
                "confirm",
                [("", method, seed) for method, seed in planned_confirmation(self._config, self._record)],
            )
        return self._confirmation.popleft() if self._confirmation else None

    def _replicates(self) -> list[tuple[str, Method, int]]:
        planned = planned_replication(self._config, self._record)
        return [(standing.trial.branch, standing.method, seed) for standing, seed in planned]

    def _planned(
        self, letter: str, purpose: Purpose, planned: Sequence[tuple[str, Method, int]], task: str = ""
    ) -> deque[tuple[str, Assignment]]:
        """The trials of a plan that have yet to start. planned: (branch, method, seed), in a stable order."""
        return deque(
            (
                branch,
                Assignment(trial=name, purpose=purpose, method=method, seed=seed, rungs=(1.0,), task=task),
            )
            for i, (branch, method, seed) in enumerate(planned, start=1)
            if (name := self._free_name(f"{letter}{i:05d}", purpose)) is not None
        )

    def _free_name(self, name: str, purpose: Purpose) -> str | None:
        """The name to start a planned trial under, or None if it must not start.

        A confirmation trial that failed in an earlier process is tried again under a new name; otherwise a
        single failure would block the outcome for good. After the test split has been opened nothing is tried
        again: the confirmed methods must be settled before.
        """
        planned, attempts = name, 1
        while (trial := self._record.trials.get(name)) is not None:
            if not trial.confirms or trial.state != "failed" or self._record.test_openings:
                return None
            attempts += 1
            name = f"{planned}-{attempts}"
        return name
