"""A run as data frames."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from search.ledger.events import TaskBaselines
from search.ledger.record import Record
from search.output.frames import curves_frame, methods_frame, seeds_frame, trials_frame
from search.storage.run_directory import RunDirectory
from tests.small_runs.synthetic import synthetic_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return synthetic_run(Path(tmp_path_factory.mktemp("run")) / "run", 40)


def test_a_row_for_each_trial(finished: RunDirectory) -> None:
    _, record = finished.load()
    frame = trials_frame(record)
    assert list(frame.trial) == list(record.trials)
    best = record.best()
    assert best is not None
    searched = frame[frame.purpose == "search"]
    assert searched.loc[searched.pgr.idxmax(), "trial"] == best.trial
    assert (frame[frame.purpose == "confirm"].pgr.isna()).all()  # these predict the test split
    assert set(frame.task) == {""}  # the search's own
    assert {"loss.kind", "optim.adamw.lr"} <= set(frame.columns)
    assert set(searched.state) == {"completed", "pruned", "failed"}


def test_a_row_for_each_rung_of_the_search_split(finished: RunDirectory) -> None:
    _, record = finished.load()
    frame = curves_frame(record)
    scored = [
        rung for trial in record.trials.values() for rung in trial.rungs.values() if rung.pgr is not None
    ]
    assert len(frame) == len(scored) > 40
    assert set(frame.task) == {""}
    assert (frame.groupby("trial").share.apply(lambda shares: shares.is_monotonic_increasing)).all()


def test_of_several_tasks_trials_have_a_column_for_each_and_curves_a_row(events: SimpleNamespace) -> None:
    floors = {"weak_acc": 0.6, "weak_se": 0.0, "ceiling_acc": 0.9, "ceiling_se": 0.0, "examples": 10}
    tasks = tuple(TaskBaselines(name=name, **floors) for name in "ab")
    told = [events.baselines(tasks=tasks), events.started("t1")]
    told += [*events.reached_on("t1", {"a": 0.1, "b": 0.3}, 1 / 3), events.started("t1")]
    record = Record.of([*told, events.reached_on("t1", {"a": 0.2}, 1.0)[0]])
    frame, curves = trials_frame(record), curves_frame(record)
    assert frame[["pgr", "pgr_on_a", "pgr_on_b"]].to_numpy().tolist() == [[0.2, 0.1, 0.3]]
    assert curves.task.tolist() == ["a", "b", "", "a"]
    assert curves.pgr.tolist() == [0.1, 0.3, 0.2, 0.2]


def test_a_row_for_each_confirmed_method_and_seed(finished: RunDirectory) -> None:
    outcome = finished.read_result()
    assert outcome is not None
    frame, seeds = methods_frame(outcome), seeds_frame(outcome)
    assert list(frame.method) == ["naive", *(row["branch"] for row in outcome["finalists"])]
    assert frame.pgr[1] == outcome["best"]["pgr"]
    assert (frame.low < frame.pgr).all()
    assert frame.beats_naive_p.isna().tolist() == [True] + [False] * len(outcome["finalists"])
    assert len(seeds) == sum(frame.seeds)
    assert seeds[seeds.method == "naive"].accuracy.mean() == pytest.approx(frame.accuracy[0])


def test_without_a_gap_there_are_accuracies_alone(finished: RunDirectory) -> None:
    outcome = finished.read_result()
    assert outcome is not None
    gone = {"pgr": None, "se": None, "ci95": None, "collapses": None}
    frame = methods_frame({"naive": outcome["naive"] | gone, "finalists": []})
    assert frame.pgr.isna().all()
    assert frame.accuracy[0] == outcome["naive"]["accuracy"]
