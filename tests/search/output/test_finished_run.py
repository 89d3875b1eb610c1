from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents.findings.predictions import unpack
from search.config.schema import RunConfig
from search.engine.confirmation import Confirmation
from search.ledger.events import Sources
from search.ledger.record import Record
from search.output.finished_run import read_outcome
from search.storage.run_directory import RunDirectory
from tests.search.output.conftest import EXAMPLES, finished_run, moved, of_tasks, tasks_outcome


@pytest.fixture
def searched(config: RunConfig) -> RunConfig:
    return of_tasks(config, "a", "b")


@pytest.fixture
def on_both(record: Record, confirmation: Confirmation) -> dict[str, Any]:
    return tasks_outcome(record, confirmation, moved(confirmation, 0.2))


def test_predictions_of_all_tasks_are_taken_apart(
    tmp_path: Path, searched: RunConfig, events: SimpleNamespace, on_both: dict[str, Any]
) -> None:
    """The order is that of digests, so b comes first, with the predictions that stand second."""
    several = read_outcome(finished_run(tmp_path / "x", searched, events, on_both, "9a", "1b"))
    assert [(test.place, test.digest) for test in several.tests] == [
        ("tasks.1 (b)", "1b"),
        ("tasks.0 (a)", "9a"),
    ]
    assert [test.outcome["name"] for test in several.tests] == ["b", "a"]
    ledger = RunDirectory(tmp_path / "x").load()[1]
    last = ledger.trials["c40"].last
    assert last is not None
    whole = unpack(last.predictions, 2 * EXAMPLES)
    for test, part in zip(several.tests, (whole[EXAMPLES:], whole[:EXAMPLES]), strict=True):
        assert (unpack(test.predictions[40], test.examples) == part).all()


def test_weak_labels_are_the_same_only_where_they_are_on_every_task(
    tmp_path: Path, searched: RunConfig, events: SimpleNamespace, on_both: dict[str, Any]
) -> None:
    def teachers(name: str, second: str) -> str:
        digests = {"weak_train.inputs": "aa", "tasks.b.weak_train.inputs": second}
        began = Sources(salt="00", digests=digests, commits={})
        path = finished_run(tmp_path / name, searched, events, on_both, "one", "two", sources=began)
        return read_outcome(path).teachers

    same, also, other = teachers("x", "bb"), teachers("y", "bb"), teachers("z", "cc")
    assert same == also
    assert same != other


def test_a_result_without_the_outcome_on_each_task_is_refused(
    tmp_path: Path, searched: RunConfig, events: SimpleNamespace, on_both: dict[str, Any]
) -> None:
    path = finished_run(tmp_path / "x", searched, events, on_both | {"tasks": None}, "one", "two")
    with pytest.raises(ValueError, match=r"x: result.json does not have the outcome on each of a, b"):
        read_outcome(path)


def test_a_task_without_a_digest_is_refused(
    tmp_path: Path, searched: RunConfig, events: SimpleNamespace, on_both: dict[str, Any]
) -> None:
    path = finished_run(tmp_path / "x", searched, events, on_both, "one", "")
    with pytest.raises(ValueError, match="without the digest of its test examples; run its config again"):
        read_outcome(path)
