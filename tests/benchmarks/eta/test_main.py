import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.eta.__main__ import errors, first, main, steps
from search.config.schema import RunConfig
from search.ledger.events import AnyEvent, Finished, Resumed, RungReached
from search.storage.baseline_times import BaselinesBegun, BaselineTime, Line
from tests.small_runs.synthetic import synthetic_run
from trainers.components.optim import Adamw
from trainers.method import Method


def even_run(events: SimpleNamespace, config: RunConfig) -> list[AnyEvent]:
    """One worker trains eight methods and naive, then naive and two finalists on three seeds: 4 s each."""
    methods = [Method(optim=Adamw(lr=2e-3 + i * 1e-6)) for i in range(8)]
    told: list[AnyEvent] = []

    def train(name: str, method: Method, seed: int, **changes: object) -> None:
        at = 1000.0 + 4 * (len(told) // 3)
        told.append(events.started(name, at=at, method=method, seed=seed, share=1.0, **changes))
        score = 0.5 if not name.startswith("c") else None
        told.append(events.reached(name, 1.0, score, at=at + 4, setup_s=0.0))
        told.append(events.ended(name, at=at + 4))

    for i, method in enumerate(methods):
        train(f"t{i}", method, config.search_seed())
    train("r0", config.naive, config.search_seed(), purpose="replicate", branch="")
    for k, method in enumerate((config.naive, *methods[:2])):
        for seed in config.confirm_seeds():
            train(f"c{k}-{seed}", method, seed, purpose="confirm", branch="")
    return [*told, Finished(at=1000.0 + 4 * (len(told) // 3))]


def test_an_even_run_is_predicted(config: RunConfig, events: SimpleNamespace) -> None:
    full = config.model_copy(update={"search": config.search.model_copy(update={"effort": 1.0})})
    rows = list(errors(full, even_run(events, config), (0.1, 0.2)))
    assert [row["left_s"] for row in rows] == [
        pytest.approx(72 * 0.9, abs=0.1),
        pytest.approx(72 * 0.8, abs=0.1),
    ]
    assert all(abs(row["forecast"]) < 0.02 for row in rows)


def test_the_first_figure_is_compared_with_what_was_left(config: RunConfig, events: SimpleNamespace) -> None:
    """The run begins 40 s before its first trial; 10 s later a ceiling has ended, one of three."""
    full = config.model_copy(update={"search": config.search.model_copy(update={"effort": 1.0})})
    told = [events.run_started(at=960.0), *even_run(events, config)]
    lines: list[Line] = [
        BaselineTime(role="weak", seed=0, seconds=99.0, at=900.0),  # of an earlier process
        BaselinesBegun(due={"ceiling": 3}, together=1, at=962.0),
        BaselineTime(role="ceiling", seed=0, seconds=4.0, at=970.0),
    ]
    found = first(full, lines, told)
    assert found is not None
    assert (found["after_s"], found["left_s"]) == (10.0, 30.0 + 72.0)
    assert found["by_phase"]["baselines"] == 8.0
    assert found["predicted_s"] == pytest.approx(sum(found["by_phase"].values()), abs=0.2)
    assert found["error"] == pytest.approx(found["predicted_s"] / 102 - 1, abs=0.01)
    assert found["took"] == {"baselines": 30.0, "search": 32.0, "replication": 4.0, "confirmation": 36.0}
    assert first(full, lines[:2], told) is None


def test_a_run_with_a_break_is_no_measure(config: RunConfig, events: SimpleNamespace) -> None:
    told = even_run(events, config)
    for broken in ([*told[:9], Resumed(at=1012.0), *told[9:]], told[:-1], []):
        with pytest.raises(ValueError, match="without a break"):
            list(errors(config, broken, (0.5,)))


def test_steps_are_compared_with_what_was_predicted_of_them(
    config: RunConfig, events: SimpleNamespace
) -> None:
    even = steps(config, even_run(events, config))
    assert even["count"] == 8 + 1 + 3 * 3 - 1  # all steps but the first
    assert even["median"] < 0.01
    assert even["predicted_over_took"] == pytest.approx(1.0, abs=0.01)
    told = [
        event.model_copy(update={"train_s": 3 * event.train_s}) if isinstance(event, RungReached) else event
        for event in even_run(events, config)[-6:]
    ]
    slower = steps(config, [*even_run(events, config)[:-6], *told])
    assert slower["p90"] > 0.3
    assert slower["predicted_over_took"] < 1


def test_runs_are_put_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = synthetic_run(tmp_path / "run", 30)
    main([str(run.path), "--at", "0.3", "0.6"])
    found = json.loads(capsys.readouterr().out)
    assert found["at"] == [0.3, 0.6]
    assert [row["at"] for row in found["runs"][str(run.path)]] == [0.3, 0.6]
    assert all(size >= 0 for size in found["mean_size"]["forecast"])
    assert found["steps"][str(run.path)]["count"] > 20
