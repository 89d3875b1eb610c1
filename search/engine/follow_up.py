"""The trials after the search: replication on further seeds, stage by stage, then the confirmation.

Naive is trained after the replicates on their seeds, for the search split (search.engine.compared.naive).

At last, when nothing of the search is left to decide, the confirmation on hidden tasks, one after another.
"""

import re
from collections import deque
from collections.abc import Sequence

from search.config.schema import RunConfig
from search.config.tasks import HiddenTask
from search.engine.assignment import Assignment
from search.engine.compared.naive import due_replicates
from search.engine.confirmation import planned_confirmation
from search.ledger.events import Purpose
from search.ledger.record import Record
from search.ledger.trial_record import TrialRecord
from trainers.method import Method


class FollowUp:
    """Hands out the trials after the search that have not started, each with its branch."""

    def __init__(self, config: RunConfig, record: Record) -> None:
        self._config = config
        self._record = record
        self._replication: deque[tuple[str, Assignment]] = deque()
        self._confirmation: deque[tuple[str, Assignment]] | None = None

    def planned_on(self, hidden: HiddenTask) -> int:
        """The number of trials of the confirmation on a hidden task."""
        return len(planned_confirmation(self._config, self._record, hidden))

    def confirm_on(self, hidden: HiddenTask) -> None:
        """Hand out the confirmation on a hidden task next. Nothing else must be left to hand out."""
        place = next(i for i, one in enumerate(self._config.hidden, start=1) if one == hidden)
        planned = planned_confirmation(self._config, self._record, hidden)
        methods = [("", method, seed) for method, seed in planned]
        self._confirmation = self._planned(f"h{place}-", "hidden", methods, task=hidden.name)

    def plan_anew(self, config: RunConfig) -> None:
        """Forget the plan: what is known has changed. Trials that have started stay as they are."""
        self._config = config
        self._replication.clear()
        self._confirmation = None

    @property
    def all_handed_out(self) -> bool:
        """Whether no trial is left to hand out, now or later."""
        return self._confirmation is not None and not self._confirmation

    def next(self, *, idle: bool) -> tuple[str, Assignment] | None:
        """The next trial and its branch, None if there is none yet or at all. idle: no trial is running."""
        if self._confirmation is None:
            if self._record.course.finishing:
                self._replication.clear()
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
        if self._record.course.finishing:
            return []
        return due_replicates(self._config, self._record)

    def _planned(
        self, letter: str, purpose: Purpose, planned: Sequence[tuple[str, Method, int]], task: str = ""
    ) -> deque[tuple[str, Assignment]]:
        """The trials of a plan that have yet to start. planned: (branch, method, seed), in a stable order.

        A trial is named after its place in the plan, or after a further one if an earlier plan, before the
        run was extended, gave that name away.
        """
        known = {
            (trial.method.digest, trial.seed): trial
            for trial in self._record.of_purpose(purpose)
            if trial.task == task
        }
        left, given = deque[tuple[str, Assignment]](), 0
        for i, (branch, method, seed) in enumerate(planned, start=1):
            if (before := known.get((method.digest, seed))) is not None:
                name = self._retried(before)
            else:
                number = max(i, given + 1)
                while (name := f"{letter}{number:05d}") in self._record.trials:
                    number += 1
                given = number
            if name is not None:
                assignment = Assignment(
                    trial=name,
                    purpose=purpose,
                    method=method,
                    seed=seed,
                    rungs=(1.0,),
                    task=task,
                    on=("",) if task else tuple(self._config.searched),
                )
                left.append((branch, assignment))
        return left

    def _retried(self, trial: TrialRecord) -> str | None:
        """The name to start a trial again under, or None if it must not start.

        A confirmation trial that failed in an earlier process is tried again under a new name; otherwise a
        single failure would block the outcome for good. After the test split has been opened nothing is tried
        again: the confirmed methods must be settled before.
        """
        if not trial.confirms or trial.state != "failed" or self._record.test_openings:
            return None
        planned, attempt = trial.trial, 1
        if retried := re.fullmatch(r"(.*\d{5})-(\d+)", trial.trial):
            planned, attempt = retried[1], int(retried[2])
        return f"{planned}-{attempt + 1}"
