import pytest

from search.__main__ import main
from search.storage.run_directory import RunDirectory


def test_what_cannot_be_compared_is_one_line(
    stopped: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(stopped.path)]) == 2
    assert "name two runs or more" in capsys.readouterr().err
    assert main(["compare", str(stopped.path), str(stopped.path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "has no outcome yet" in line
