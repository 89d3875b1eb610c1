from pathlib import Path

import pytest

from search.__main__ import main
from search.storage.run_directory import RunDirectory


def test_report_prints_the_path_of_what_it_wrote(
    stopped: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(stopped.path)]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == stopped.report
    assert path.read_text().startswith("<!DOCTYPE html>")
