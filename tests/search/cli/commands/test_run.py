import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from search.__main__ import main
from search.storage.run_directory import RunDirectory
from tests.search.cli.conftest import REPO, SLOWER, Measured

DEV = "configs/dev.yaml"


def test_a_typo_is_answered_before_anything_is_loaded(measured: Callable[..., Measured]) -> None:
    ran = measured("run", DEV, "--set", "search.trails=3")
    assert (ran.code, ran.output, ran.heavy) == (2, "", [])
    assert ran.errors == f"error: {DEV}: search.trails is not a setting; did you mean trials?"
    assert ran.cpu_s <= 1.5 * SLOWER


def test_the_first_line_comes_before_ray_and_torch(tmp_path: Path) -> None:
    out = tmp_path / "run"
    started = subprocess.Popen(
        [sys.executable, "-m", "search", "run", DEV, "--out", str(out), "--set", f"cache={tmp_path}"],
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert started.stdout is not None
    try:
        line = started.stdout.readline()
        times = psutil.Process(started.pid).cpu_times()
        mapped = {Path(file.path).name for file in psutil.Process(started.pid).memory_maps()}
    finally:
        started.kill()
        started.communicate()
    assert line == f"run directory: {out}\n"
    assert times.user + times.system <= 2.0 * SLOWER
    assert not {name for name in mapped if name.startswith("libtorch")}


def test_a_second_start_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It comes when the first has its directory and has not yet begun its campaign."""

    def second(run: RunDirectory, *_: object, **__: object) -> None:
        before = run.config.read_bytes()
        monkeypatch.setattr("search.cli.commands.run.reach_outcome", lambda *_, **__: None)
        assert main(["run", DEV, "--out", str(run.path), "--set", "seed=7"]) == 2
        assert "another process is at work on this run; stop it first" in capsys.readouterr().err
        assert run.config.read_bytes() == before

    monkeypatch.setattr("search.cli.commands.run.reach_outcome", second)
    assert main(["run", DEV, "--out", str(tmp_path / "run")]) == 0


def test_a_run_whose_splits_cannot_be_filled_leaves_no_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "few.jsonl"
    data.write_text("".join(f'{{"text": "text {i}", "label": {i % 2}}}\n' for i in range(40)))
    words = ["run", DEV, "--out", str(tmp_path / "runs" / "one"), "--set", f"cache={tmp_path / 'cache'}"]
    words += ["--set", f"task={{kind: dataset, path: {data}}}"]
    words += ["--set", "task.splits={weak_train: 20, transfer: 20, search: 10, test: 10}"]
    assert main(words) == 2
    assert "such as splits: {weak_train: 13, transfer: 13, search: 6, test: 6}" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_directory_with_something_else_in_it_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").touch()
    assert main(["run", DEV, "--out", str(tmp_path)]) == 2
    assert "is not an empty directory; choose another one" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_dry_run_makes_no_directory_and_refuses_one_in_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--set", "task.splits={weak_train: 64, transfer: 96, search: 32, test: 40}"]
    small += ["--set", "strong.model={kind: toy, size: weak}", "--set", f"cache={tmp_path / 'cache'}"]
    small += ["--set", "trial.concurrent=1"]  # a check starts as many processes as will train together
    priced = ["--usd-per-gpu-hour", "3.5"]
    assert main(["run", DEV, "--dry-run", "--out", str(tmp_path / "run"), *priced, *small]) == 0
    said = capsys.readouterr().out
    assert "Predicted times on this machine" in said
    assert re.search(r"GPU-hours: .*, \d+\.\d\d dollars", said)
    assert not (tmp_path / "run").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    assert main(["run", DEV, "--dry-run", "--out", str(tmp_path / "other"), *small]) == 2
    assert "is not an empty directory" in capsys.readouterr().err


def test_a_run_that_is_no_dry_one_has_no_price(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", DEV, "--out", str(tmp_path / "run"), "--usd-per-gpu-hour", "3.5"]) == 2
    assert "only says what a run would cost: add --dry-run" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
