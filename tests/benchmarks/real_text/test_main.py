from pathlib import Path

import pytest

from benchmarks.real_text.__main__ import main


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main([*argv, "--encoder", "e"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--data", str(tmp_path), "--out", str(tmp_path / "out.json")]
    assert "--tasks and --pairs name nothing" in refused(capsys, *given)
    assert "a.train.jsonl.gz is not there" in refused(capsys, *given, "--tasks", "a")
    assert not (tmp_path / "out.json").exists()
