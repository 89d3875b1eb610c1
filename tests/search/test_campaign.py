import logging
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from search.campaign import _report
from search.config.schema import RunConfig
from search.storage.run_directory import new_run


def test_the_report_is_written_and_named(tmp_path: Path, config: RunConfig) -> None:
    run, console = new_run(tmp_path, config), Console(file=StringIO(), width=60)
    _report(run, console)
    assert run.report.is_file()
    assert f"report: {run.report}\n" in console.file.getvalue()


def test_a_report_that_cannot_be_written_is_a_warning(
    tmp_path: Path, config: RunConfig, caplog: pytest.LogCaptureFixture
) -> None:
    run = new_run(tmp_path, config)
    (run.report / "in the way").mkdir(parents=True)
    with caplog.at_level(logging.WARNING):
        _report(run, Console(file=StringIO()))
    assert "report.html could not be written" in caplog.text
    assert f"python -m search report {run.path}" in caplog.text
