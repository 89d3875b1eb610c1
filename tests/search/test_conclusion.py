import json
import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from agents.findings.predictions import pack
from search.conclusion import Conclusion, SealedTest
from search.config.schema import RunConfig
from search.config.tasks import HiddenTask
from search.ledger.events import AnyEvent, Proposed
from search.ledger.log import Ledger, read_ledger
from search.scoring.grader import Grader
from search.storage.openings import FOLDER, Registry
from search.storage.run_directory import new_run
from tests.search.engine.conftest import SEARCH_TRUTH, TEST_TRUTH, answers, graded
from trainers.components.losses import Gce
from trainers.data.examples import Examples
from trainers.data.settings import ToyTask
from trainers.method import Method

THERE = HiddenTask(name="there", task=ToyTask(seed=3))
BEST = Method(loss=Gce())


class WatchedGrader(Grader):
    """Notes what had been recorded when it was asked for the labels."""

    def __init__(self, registry: Path, ledger: Path) -> None:
        super().__init__(graded(SEARCH_TRUTH, 5), graded(TEST_TRUTH, 8))
        self._registry, self._ledger = registry, ledger
        self.seen: tuple[int, int] | None = None

    def open_test(self, predictions: Any) -> Any:
        opened = [event for event in read_ledger(self._ledger) if event.event == "test_opened"]
        self.seen = len(list(self._registry.iterdir())), len(opened)
        return super().open_test(predictions)


def confirmed(
    events: SimpleNamespace, config: RunConfig, letter: str, method: Method, pgr: float, **where: str
) -> Iterator[AnyEvent]:
    for i, seed in enumerate(config.confirm_seeds()):
        name = f"{letter}{i}"
        yield events.started(name, method=method, seed=seed, branch="", number=None, **where)
        yield events.reached(name, 1.0, None, predictions=pack(answers(TEST_TRUTH, pgr)))
        yield events.ended(name)


def inputs(word: str) -> Examples:
    return Examples(texts=tuple(f"{word} {i}" for i in range(len(TEST_TRUTH))))


@pytest.fixture
def ended(tmp_path: Path, config: RunConfig, events: SimpleNamespace, branch: Any, proposal: Any) -> Any:
    """A run whose trials have all ended, and the test splits of its task and of a hidden one."""
    config = config.model_copy(update={"hidden": (THERE,), "cache": str(tmp_path / "cache")})
    run = new_run(tmp_path / "run", config)
    _, record = run.load()
    ledger = Ledger(run.ledger, record.apply)
    for event in (
        events.run_started(),
        events.baselines(),
        Proposed(round=1, proposal=proposal(branch("one")), seconds=0.0),
        events.started("t1", method=BEST),
        events.reached("t1", 1.0, 0.9),
        events.ended("t1"),
        *confirmed(events, config, "c", config.naive, 0.3, purpose="confirm"),
        *confirmed(events, config, "d", BEST, 0.8, purpose="confirm"),
        *confirmed(events, config, "h", config.naive, 0.3, purpose="hidden", task="there"),
        *confirmed(events, config, "i", BEST, 0.4, purpose="hidden", task="there"),
    ):
        ledger.append(event)
    registry = config.cache_dir / FOLDER
    console = Console(file=StringIO(), width=160)
    graders = [WatchedGrader(registry, run.ledger) for _ in range(2)]
    own, there = (
        SealedTest(task=hidden, inputs=inputs(word), grader=grader)  # type: ignore[arg-type]  # in this process
        for hidden, word, grader in zip((None, THERE), ("own", "there"), graders, strict=True)
    )
    conclusion = Conclusion(
        run=run,
        config=config,
        record=record,
        ledger=ledger,
        registry=Registry(config.cache_dir),
        console=console,
    )
    yield SimpleNamespace(
        run=run, conclusion=conclusion, own=own, there=there, graders=graders, said=console.file
    )
    ledger.close()


def test_all_openings_are_on_record_before_any_label_is_read(ended: Any) -> None:
    ended.conclusion.reach([ended.own], [ended.there])
    assert [grader.seen for grader in ended.graders] == [(2, 2), (2, 2)]
    opened = [event for event in read_ledger(ended.run.ledger) if event.event == "test_opened"]
    assert [(event.task, event.queries, event.examples) for event in opened] == [
        ("", 6, 300),
        ("there", 6, 300),
    ]


def test_the_outcome_has_both_tasks_and_is_written_and_printed(ended: Any) -> None:
    outcome = ended.conclusion.reach([ended.own], [ended.there])
    assert json.loads(ended.run.result.read_text()) == outcome
    assert outcome["best"]["over_naive"]["pgr"] == pytest.approx(0.5, abs=0.02)
    [there] = outcome["hidden"]["tasks"]
    assert (there["name"], there["test_split"]["opened"]) == ("there", 1)
    assert outcome["hidden"]["best"]["over_naive"]["pgr"] == pytest.approx(0.1, abs=0.02)
    assert outcome["hidden"]["best"]["shrinkage"] == pytest.approx(0.4, abs=0.02)
    said = ended.said.getvalue()
    assert said.index("PGR on hidden tasks") < said.index("Performance gap recovered on the test split")
    assert read_ledger(ended.run.ledger)[-1].event == "finished"
    assert f"report: {ended.run.report}" in said


def test_examples_of_a_hidden_task_that_a_run_opened_before_are_said(ended: Any) -> None:
    ended.conclusion.reach([ended.own], [ended.there])
    ended.conclusion.record.finished = False
    ended.conclusion.reach([ended.own], [ended.there])
    said = ended.said.getvalue()
    assert "the test split of this run has been opened before" in said
    assert "examples of the test split of there have been opened before, by unit" in said


def test_a_report_that_cannot_be_written_is_a_warning(ended: Any, caplog: pytest.LogCaptureFixture) -> None:
    (ended.run.report / "in the way").mkdir(parents=True)
    with caplog.at_level(logging.WARNING):
        ended.conclusion.reach([ended.own], [])
    assert "report.html could not be written" in caplog.text
    assert f"python -m search report {ended.run.path}" in caplog.text
