import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.curves.__main__ import main, table
from benchmarks.curves.data import Curves, Pool, load, units
from benchmarks.curves.methods import METHODS, quiet
from benchmarks.curves.promotion import SHARES, Ours, evaluations_at
from benchmarks.curves.simulation import Strategy, regrets, simulate

ROWS, EVALUATIONS = 60, 9


def synthetic(tasks: int = 2, rows: int = ROWS) -> Curves:
    """Losses fall towards the squared distance from (0.3, 0.7); rows with a large first parameter diverge."""
    rng = np.random.default_rng(0)
    hp = rng.random((rows, 2))
    floor = (hp[:, 0] - 0.3) ** 2 + (hp[:, 1] - 0.7) ** 2
    loss = floor[:, None] + 1 / np.arange(1, EVALUATIONS + 1)
    loss[hp[:, 0] > 0.8, 1:] = np.nan
    both = np.broadcast_to(loss, (tasks, rows, EVALUATIONS)).copy()
    return Curves(validation=both, test=both, hp=hp, tasks=tuple(f"task{i}" for i in range(tasks)))


def save(path: Path, curves: Curves) -> Path:
    loss = np.stack([curves.validation, curves.test], axis=2).astype(np.float32)
    np.savez(path, loss=loss, hp=curves.hp, tasks=np.array(curves.tasks), hp_names=np.array(["a", "b"]))
    return path


class Scripted:
    """Gives out rows in a fixed order and pauses each after so many evaluations at a time."""

    def __init__(self, order: Sequence[int], pause_after: int) -> None:
        self._order = list(order)
        self._pause_after = pause_after
        self.heard: list[tuple[int, int, float]] = []

    def assign(self) -> int | None:
        return self._order.pop(0) if self._order else None

    def report(self, row: int, evaluation: int, loss: float) -> bool:
        self.heard.append((row, evaluation, loss))
        return evaluation % self._pause_after != 0


class Watched:
    """Passes on to a strategy; keeps what it gave out, what diverged, and what went on for all that."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self._running: set[int] = set()
        self.assigned: list[int] = []
        self.diverged: set[int] = set()
        self.went_on: set[int] = set()

    def assign(self) -> int | None:
        row = self._strategy.assign()
        if row is not None:
            assert row not in self._running
            self._running.add(row)
            self.assigned.append(row)
        return row

    def report(self, row: int, evaluation: int, loss: float) -> bool:
        if row in self.diverged:
            self.went_on.add(row)
        if np.isnan(loss):
            self.diverged.add(row)
        goes_on = self._strategy.report(row, evaluation, loss)
        if not goes_on or evaluation == EVALUATIONS:
            self._running.remove(row)
        return goes_on


def by_hand() -> Curves:
    """Three rows, three evaluations; final test losses 2, 4, 3: regrets 0, 1 (clipped), 1."""
    validation = np.array([[[9.0, 8.0, 1.0], [5.0, np.nan, 4.0], [6.0, 3.0, 2.0]]])
    test = np.array([[[0.0, 0.0, 2.0], [0.0, 0.0, 4.0], [0.0, 0.0, 3.0]]])
    return Curves(validation=validation, test=test, hp=np.eye(3), tasks=("hand",))


def test_regret_is_scaled_by_the_median_and_clipped() -> None:
    test = np.array([[[1.0], [2.0], [3.0], [9.0], [np.nan], [1.5]]])
    curves = Curves(validation=test, test=test, hp=np.eye(6), tasks=("a",))
    # Of 1, 1.5, 2, 3, 9 the median is 2: a loss of 1.5 is half way to it.
    assert curves.regret(0) == pytest.approx([0, 1, 1, 1, 1, 0.5])


def test_a_task_where_all_diverge_is_named() -> None:
    nan = np.full((1, 2, 3), np.nan)
    with pytest.raises(ValueError, match="task odd: no row has a finite test loss"):
        Curves(validation=nan, test=nan, hp=np.eye(2), tasks=("odd",)).regret(0)


def test_the_incumbent_over_time_by_hand() -> None:
    # One worker: row 1 reads 5 at t=1 and pauses there, row 0 reads 9 at t=2, row 2 reads 6 at t=3; then row
    # 0, resumed, 8 at t=4 and, resumed again, 1 at t=5.
    curves = by_hand()
    strategy = Scripted([1, 0, 2, 0, 0], pause_after=1)
    budgets = [0.3, 1 / 3, 4 / 3, 5 / 3, 9]
    assert simulate(curves, 0, strategy, workers=1, budgets=budgets) == [1, 1, 1, 0, 0]
    assert strategy.heard == [(1, 1, 5), (0, 1, 9), (2, 1, 6), (0, 2, 8), (0, 3, 1)]


def test_two_workers_share_the_budget() -> None:
    # Rows 0 and 2 side by side, three evaluations each: row 0 reads the lowest loss, 1, at t=3, a budget of
    # two full trainings; up to t=2 row 2 leads with 3.
    strategy = Scripted([0, 2], pause_after=3)
    assert simulate(by_hand(), 0, strategy, workers=2, budgets=[4 / 3, 2]) == [1, 0]
    assert [(row, evaluation) for row, evaluation, _ in strategy.heard] == [
        (row, evaluation) for evaluation in (1, 2, 3) for row in (0, 2)
    ]


def test_a_full_training_ends_whatever_the_strategy_says() -> None:
    strategy = Scripted([0], pause_after=99)
    simulate(by_hand(), 0, strategy, workers=1, budgets=[9])
    assert len(strategy.heard) == 3


def test_nan_is_no_incumbent() -> None:
    # Row 1 reads 5, NaN, 4 and stays ahead of row 2's 6 all along.
    strategy = Scripted([1, 2], pause_after=3)
    curves = by_hand()
    assert simulate(curves, 0, strategy, workers=1, budgets=[1]) == [curves.regret(0)[1]]


@pytest.mark.parametrize(
    ("evaluations", "rungs"), [(51, [6, 17, 51]), (9, [1, 3, 9]), (54, [6, 18, 54]), (2, [1, 2]), (1, [1])]
)
def test_rungs(evaluations: int, rungs: list[int]) -> None:
    assert evaluations_at(SHARES, evaluations) == rungs


def test_units_are_quantiles() -> None:
    assert units(np.array([[1e-9, 5.0], [1e3, 5.0], [1.0, 5.0], [1e-3, 5.0]])) == pytest.approx(
        np.array([[0.125, 0.5], [0.875, 0.5], [0.625, 0.5], [0.375, 0.5]])
    )


def test_the_nearest_unused_row() -> None:
    pool = Pool(np.array([[0.1], [0.5], [0.9]]))
    assert [pool.nearest(np.array([0.45])) for _ in range(4)] == [1, 0, 2, None]


@pytest.mark.parametrize("method", METHODS)
def test_no_row_runs_twice_at_once_or_is_started_again(method: str) -> None:
    quiet()
    curves = synthetic(tasks=1)
    strategy = Watched(METHODS[method](curves, 1))
    simulate(curves, 0, strategy, workers=3, budgets=[15])
    rungs = len(evaluations_at(SHARES, EVALUATIONS))
    most = max(strategy.assigned.count(row) for row in strategy.assigned)
    assert most == rungs if method == "ours" else most == 1
    assert strategy.diverged
    assert bool(strategy.went_on) == (method == "asha")  # as it ships, it never stops a diverged trial


def test_all_rows_used_up_ends_a_simulation() -> None:
    quiet()
    curves = synthetic(tasks=1, rows=12)
    for method, make in METHODS.items():
        final = simulate(curves, 0, make(curves, 0), workers=2, budgets=[100])
        assert final == [0.0], method


def test_ours_beats_random_search() -> None:
    quiet()
    curves = synthetic(rows=300)
    means = {
        method: regrets(
            curves,
            lambda seed, make=METHODS[method]: make(curves, seed),
            seeds=3,
            workers=2,
            budgets=[8],
            done=lambda: None,
        ).mean()
        for method in ("ours", "random")
    }
    assert means["ours"] < 0.5 * means["random"]


def test_ours_stops_what_diverged() -> None:
    strategy = Ours(synthetic(), 0)
    row = strategy.assign()
    assert row is not None
    assert not strategy.report(row, 2, float("nan"))
    assert row not in [strategy.assign() for _ in range(ROWS)]


def test_loading_gives_back_what_was_recorded(tmp_path: Path) -> None:
    curves = synthetic()
    loaded = load(save(tmp_path / "curves.npz", curves))
    assert loaded.validation == pytest.approx(curves.validation, nan_ok=True, rel=1e-6)
    assert (loaded.rows, loaded.evaluations, loaded.tasks) == (ROWS, EVALUATIONS, curves.tasks)


def test_a_file_without_curves_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, hp=np.eye(2))
    with pytest.raises(SystemExit) as stopped:
        main(["--curves", str(path)])
    assert stopped.value.code == 2
    assert "lacks loss, tasks" in capsys.readouterr().err


def test_a_wrong_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.npz"
    np.savez(path, loss=np.zeros((2, 3, 1, 4)), hp=np.eye(3), tasks=np.array(["a", "b"]))
    with pytest.raises(
        ValueError, match=r"must be \[2 tasks, 3 rows, 2 splits, evaluations\], got \[2, 3, 1, 4\]"
    ):
        load(path)


def test_an_unknown_method_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--curves", str(tmp_path / "none.npz"), "--methods", "ours,grid"])
    assert stopped.value.code == 2
    assert "unknown grid; choose from ours, random" in capsys.readouterr().err


def test_the_command_writes_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curves = save(tmp_path / "curves.npz", synthetic())
    out = tmp_path / "out.json"
    arguments = ["--curves", str(curves), "--methods", "ours,random", "--seeds", "2", "--workers", "2"]
    assert main([*arguments, "--budget", "10", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    assert (result["seeds"], result["workers"], result["budgets"]) == (2, 2, [5, 10])
    row = result["methods"]["ours"]
    assert list(row["tasks"]) == ["task0", "task1"]
    assert row["regret"] == pytest.approx(np.mean(list(row["tasks"].values()), axis=0), abs=1e-4)
    assert table(result["budgets"], result["methods"]) in capsys.readouterr().err
