"""The end of a run: the test splits are opened, once, and the outcome is written."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from search.config.schema import RunConfig
from search.config.tasks import HiddenTask, NamedTask
from search.engine.confirmation import confirm, sealed_predictions
from search.engine.rounds import late_lanes
from search.ledger.events import Finished, TestOpened, now
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.output.hidden import hidden_part
from search.output.outcome_table import outcome_table
from search.output.report.report import write_report
from search.output.result import TaskOutcome, result, write_result
from search.output.searched_tasks import over_tasks, tasks_part
from search.scoring.several_tasks import split
from search.storage.openings import Opening, Registry
from search.storage.run_directory import RunDirectory
from search.workers.remote_grader import RemoteGrader
from trainers.data.digests import example_keys, inputs_digest
from trainers.data.examples import Examples

log = logging.getLogger(__name__)

Predictions = Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class SealedTest:
    """A test split on which all trials have ended: its inputs, and the grader that holds its labels.

    task: it is of, None for the only one of the search.
    """

    task: NamedTask | None
    inputs: Examples
    grader: RemoteGrader

    @property
    def hidden(self) -> HiddenTask | None:
        """The hidden task it is of, None for one of the search."""
        return self.task if isinstance(self.task, HiddenTask) else None

    @property
    def name(self) -> str:
        """The name of its task, empty for the only one of the search."""
        return self.task.name if self.task else ""


@dataclass(frozen=True)
class Conclusion:
    """Opens test splits and writes the outcome of a run. registry: of the openings of all runs."""

    run: RunDirectory
    config: RunConfig
    record: Record
    ledger: Ledger
    registry: Registry
    console: Console

    def reach(self, own: Sequence[SealedTest], hidden: Sequence[SealedTest]) -> dict[str, Any]:
        """Open the test splits, write the outcome and print it; returns the content of result.json.

        own: of the tasks of the search. No label is read before the predictions of all tasks are there, and
        every opening is in the registry.
        """
        tests = [*zip(own, self._predictions(own), strict=True)]
        tests += [(test, sealed_predictions(self.config, self.record, test.hidden)) for test in hidden]
        for event in list(late_lanes(self.record)):
            self.ledger.append(event)
        if not self.record.finished:  # else it is written anew, from the same grades of the same predictions
            for test, predictions in tests:
                self._register(test, predictions)
        opened = [self._opened(test, predictions) for test, predictions in tests]
        searched, mine = opened[: len(own)], over_tasks(opened[: len(own)])
        outcome = result(
            self.record,
            mine,
            hidden=hidden_part(self.record, mine, opened[len(own) :]),
            tasks=tasks_part(self.record, searched) if self.config.tasks else None,
            from_runs=self.config.from_runs,
            objective=self.config.search.objective if self.config.tasks else None,
        )
        write_result(self.run.result, outcome)
        if not self.record.finished:
            self.ledger.append(Finished())
        self.console.print(outcome_table(outcome))
        self._report()
        return outcome

    def _predictions(self, own: Sequence[SealedTest]) -> list[Predictions]:
        """What was predicted on each task of the search, by the digest of the method."""
        together = sealed_predictions(self.config, self.record)
        sizes = [len(test.inputs) for test in own]
        apart = {digest: [split(seed, sizes) for seed in seeds] for digest, seeds in together.items()}
        return [
            {digest: [seed[place] for seed in seeds] for digest, seeds in apart.items()}
            for place in range(len(own))
        ]

    def _opened(self, test: SealedTest, predictions: Predictions) -> TaskOutcome:
        grades = test.grader.open_test(predictions)
        confirmation = confirm(self.config, self.record, grades, test.task, predictions)
        return TaskOutcome(task=test.name, confirmation=confirmation, baselines=grades.baseline_scores)

    def _register(self, test: SealedTest, predictions: Predictions) -> None:
        """Record that this run opens a test split, before its labels are read."""
        record = self.record
        assert record.started is not None
        keys, at = example_keys(test.inputs), now()
        opening = Opening(run=record.started.run, id=record.started.id, at=at, examples=keys)
        earlier = self.registry.add(opening)
        self.ledger.append(
            TestOpened(
                at=at,
                queries=sum(len(seeds) for seeds in predictions.values()),
                digest=inputs_digest(test.inputs),
                examples=len(keys),
                earlier=earlier,
                task="" if self._is_first(test) else test.name,
            )
        )
        if self._is_first(test) and record.test_openings > 1:
            self.console.print("the test split of this run has been opened before", style="yellow")
        elif earlier:
            of_it = f"the test split of {test.name}" if test.name else "this test split"
            runs = ", ".join(sorted({opening.run for opening in earlier}))
            say = f"examples of {of_it} have been opened before, by {runs}"
            self.console.print(say, style="yellow", markup=False, highlight=False)

    def _is_first(self, test: SealedTest) -> bool:
        """Whether it is the only task of the search, or the first."""
        return not test.name or bool(self.config.tasks and test.task == self.config.tasks[0])

    def _report(self) -> None:
        try:
            path = write_report(self.run)
        except Exception as error:  # the outcome is saved and complete without the report
            directory = self.run.path
            log.warning(
                "report.html could not be written (%s); try python -m search report %s", error, directory
            )
        else:
            self.console.print(f"report: {path}", highlight=False, soft_wrap=True)
