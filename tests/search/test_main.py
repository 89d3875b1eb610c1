"""Exit codes, and what stands on which stream."""

from pathlib import Path

import pytest

from search.__main__ import main
from search.storage.run_directory import RunDirectory


@pytest.mark.parametrize("command", ["status", "report", "resume"])
def test_what_is_no_run_is_a_mistake_in_the_input(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(tmp_path / "nowhere")]) == 2
    assert "holds no run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "error: Missing command; see python -m search --help"),
        (["stauts"], "Did you mean 'status'?; see python -m search --help"),
        (["status"], "error: Missing argument 'DIR'; see python -m search status --help"),
        (["status", "x", "--wach"], "--watch); see python -m search status --help"),
        (["run", "x", "--set"], "error: Option '--set' requires an argument; see python -m search --help"),
        (["run", "configs/dev.yaml", "--set", "serch.trials=1"], "did you mean search?"),
        (["export", "x"], "--out FOLDER and --script FILE.py; see python -m search export --help"),
        (["run", "nowhere.yaml"], "nowhere.yaml: there is no such file; see configs/ for examples"),
    ],
)
def test_a_mistake_in_the_command_line_is_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    output = capsys.readouterr()
    assert output.out == ""
    [line] = output.err.splitlines()
    assert line.startswith("error: ")
    assert "Invalid value" not in line
    assert line.endswith(message)


def test_a_failure_of_the_machine_is_one_line_and_another_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").mkdir()
    (tmp_path / "config.yaml.d").write_text("")
    (tmp_path / "run").mkdir()
    assert main(["propose", str(tmp_path / "config.yaml")]) == 2
    assert "cannot be read as YAML" in capsys.readouterr().err


def test_a_write_that_fails_is_a_failed_command(
    stopped: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped.report.mkdir()  # so that the page cannot be written
    assert main(["report", str(stopped.path)]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("failed: ")


def test_an_interruption_while_a_command_runs(stopped: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_run: RunDirectory) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("search.output.live_view.view.look", interrupted)
    assert main(["status", str(stopped.path)]) == 130
