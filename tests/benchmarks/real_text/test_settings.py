from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.real_text.settings import RealTextSettings
from trainers.data.settings import PairFields, SingleFields

Write = Callable[..., None]
SMALL = RealTextSettings(encoder="e", transfer=100, search=50, test=40, weak_rows=30, supervisors=2, fresh=3)


def config(folder: Path, settings: RealTextSettings = SMALL, *, pairs: bool = False) -> Any:
    return settings.config(folder, "made_up", pairs=pairs, cache=folder / "cache")


def test_each_supervisor_has_rows_of_its_own(write: Write, tmp_path: Path) -> None:
    write(1000)
    found = config(tmp_path)
    assert found.supervisors == 5
    assert (found.baselines.own_rows, found.task.splits.weak_train) == (30, 150)
    assert found.task.splits.test == 40


def test_a_small_task_has_smaller_supervisors_and_a_smaller_test_split(write: Write, tmp_path: Path) -> None:
    write(270, test_rows=30)
    found = config(tmp_path)
    assert found.baselines.own_rows == (264 - 150) // 5  # 98% of the rows, without transfer and search
    assert found.task.splits.test == 29


def test_a_task_that_is_too_small_is_refused(write: Write, tmp_path: Path) -> None:
    write(200)
    with pytest.raises(ValueError, match=r"200 rows, too few for 5 weak supervisors of 20 rows"):
        config(tmp_path)


def test_a_task_that_is_not_there_is_refused_with_those_that_are(write: Write, tmp_path: Path) -> None:
    write(1)
    with pytest.raises(ValueError, match=r"other.train.jsonl.gz is not there; .* has made_up"):
        SMALL.config(tmp_path, "other", pairs=False, cache=tmp_path)


@pytest.mark.parametrize(("groups", "kept"), [(3, False), (500, True)])
def test_small_groups_stay_in_one_split_and_topics_do_not(
    write: Write, tmp_path: Path, groups: int, kept: bool
) -> None:
    write(1000, group=lambda i: i % groups)
    assert config(tmp_path).task.fields == SingleFields(group="group" if kept else None)


def test_pairs_are_named_as_pairs(write: Write, tmp_path: Path) -> None:
    write(1000, prompt="p", chosen=lambda i: f"good {i}", rejected=lambda i: f"bad {i}")
    assert isinstance(config(tmp_path, pairs=True).task.fields, PairFields)
    with pytest.raises(ValueError, match="name it in --pairs"):
        config(tmp_path)


def test_single_texts_are_not_named_as_pairs(write: Write, tmp_path: Path) -> None:
    write(1000)
    with pytest.raises(ValueError, match="name it in --tasks"):
        config(tmp_path, pairs=True)


@pytest.mark.parametrize(("minutes", "trials", "a_round"), [(1, 30, 10), (10, 300, 30)])
def test_minutes_bound_trials_and_seconds(
    write: Write, tmp_path: Path, minutes: float, trials: int, a_round: int
) -> None:
    write(1000)
    search = config(tmp_path, SMALL.model_copy(update={"minutes": minutes, "trials": 30})).search
    assert (search.trials, search.round_trials) == (trials, a_round)
    assert search.max_hours * 60 % minutes == 0  # each core's minutes
