import json
from pathlib import Path

import pytest

from search.__main__ import main

SMALL = [
    "task.splits={weak_train: 64, transfer: 96, search: 32, test: 40}",
    "strong.model={kind: toy, size: weak}",
    "baselines.seeds=2",
    "confirm={finalists: 1, seeds: 2}",
]


def options(tmp_path: Path, *more: str) -> list[str]:
    return [word for setting in (*SMALL, f"cache={tmp_path}", *more) for word in ("--set", setting)]


def test_a_check_for_people_and_for_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "configs/dev.yaml", "--quick", *options(tmp_path)]) == 0
    assert "weak_train 64, transfer 96, search 32, test 40" in capsys.readouterr().out
    assert main(["check", "configs/dev.yaml", "--quick", "--json", *options(tmp_path)]) == 0
    written = capsys.readouterr()
    assert json.loads(written.out)["data"]["splits"]["test"] == 40


def test_a_price_needs_the_seconds_that_quick_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["check", "configs/dev.yaml", "--quick", "--usd-per-gpu-hour", "3.5", *options(tmp_path)]
    assert main(words) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert "--usd-per-gpu-hour 3.5 needs the seconds that --quick leaves out" in output.err
    assert main([*words, "--json"]) == 2


def test_a_mistake_is_one_line_and_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = options(
        tmp_path,
        "task={kind: dataset, path: nowhere.csv, splits: {weak_train: 1, transfer: 1, search: 1, test: 1}}",
    )
    assert main(["check", "configs/dev.yaml", *more]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: data file 'nowhere.csv' is not there")
    assert errors.count("\n") == 1
