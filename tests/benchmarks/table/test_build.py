from pathlib import Path

import numpy as np
import pytest

from benchmarks.table.build import build
from benchmarks.table.data import load
from benchmarks.table.rows import disguises, draw_rows, is_disguise
from benchmarks.table.settings import TableSettings

pytestmark = pytest.mark.slow


def test_rows_are_of_every_origin_and_no_two_compute_the_same(settings: TableSettings) -> None:
    rows, chance = draw_rows(settings)
    assert len(rows) == settings.methods
    assert {row.origin for row in rows} == {"naive", "disguise", "playbook", "mix", "random"}
    assert len({row.method.digest for row in rows}) == len(rows)
    proper = [row.method.plainest.digest for row in rows if row.origin not in ("naive", "disguise")]
    assert len(set(proper)) == len(proper)
    assert settings.naive.plainest.digest not in proper
    fine_tuned = [row for row in rows if row.method.student.kind != "probe"]
    assert len(fine_tuned) <= settings.fine_tuned
    assert {row.branch for row in rows if row.origin == "random"} <= {branch.name for branch in chance}
    assert (rows, chance) == draw_rows(settings)


def test_a_disguise_is_known_wherever_it_stops(settings: TableSettings) -> None:
    naive = settings.naive
    for method in disguises(naive):
        assert method != naive
        assert is_disguise(method.stopped_at(1 / 3), naive)
    others = [row.method for row in draw_rows(settings)[0] if row.origin == "playbook"]
    assert not any(is_disguise(method, naive) for method in others)


def test_a_table_holds_what_was_trained(table_file: Path, settings: TableSettings) -> None:
    table = load(table_file)
    assert list(table.tasks) == ["words"]  # the labels of the other mean nothing, so it has no gap
    assert table.settings == settings
    assert (table.rows, table.chance) == draw_rows(settings)
    assert set(table.facts["data"]) == {"noise", "words"}
    task = table.tasks["words"]
    accuracy = task.test_accuracy
    assert accuracy.shape == (settings.methods, settings.seeds, 3)
    assert np.isfinite(accuracy[:, :, -1]).all()
    assert (task.seconds[np.isfinite(accuracy)] > 0).all()
    assert np.isnan(task.seconds[np.isnan(accuracy)]).all()
    weak, top = (float((of["test"] == task.truth["test"]).mean()) for of in (task.weak, task.ceiling))
    assert weak + 0.05 < top
    assert weak - 0.1 < np.nanmax(accuracy.mean(axis=1)) < top + 0.1
    of_disguises = accuracy[table.disguises, :, -1]
    assert np.ptp(of_disguises, axis=0).max() < 0.05  # they compute the same, up to the order of examples
    assert accuracy[:, 0, -1].std() > 0.01  # and the others do not


def test_two_processes_train_what_one_does(data: Path, settings: TableSettings) -> None:
    few = settings.model_copy(update={"methods": 16, "fine_tuned": 0, "seeds": 2, "ceilings": 2})
    one, two = [next(iter(build(few, data, ["words"], processes=count))).tasks["words"] for count in (1, 2)]
    assert np.array_equal(one.search, two.search)
    assert np.array_equal(one.test, two.test)


def test_a_task_that_is_not_there_is_named(data: Path, settings: TableSettings) -> None:
    with pytest.raises(ValueError, match=r"word\.train\.jsonl\.gz is not there; .* has noise, words$"):
        next(iter(build(settings, data, ["word"], processes=1)))
