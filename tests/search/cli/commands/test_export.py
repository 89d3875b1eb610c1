from pathlib import Path

import pytest

from search.__main__ import main
from search.storage.run_directory import RunDirectory


@pytest.mark.parametrize("options", [[], ["--out", "a", "--script", "b.py"]])
def test_one_form_is_exported_at_a_time(
    options: list[str], stopped: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(stopped.path), *options]) == 2
    assert "give one of --out FOLDER and --script FILE.py" in capsys.readouterr().err


def test_a_mistake_is_one_line(
    stopped: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(stopped.path), "--out", str(tmp_path / "out")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
