from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.__main__ import main
from search.export.choice import Chosen
from search.export.model import Export
from search.storage.run_directory import RunDirectory
from trainers.method import Method


@pytest.mark.parametrize("options", [[], ["--out", "a", "--script", "b.py"]])
def test_one_form_is_exported_at_a_time(
    options: list[str], stopped: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(stopped.path), *options]) == 2
    assert "give one of --out FOLDER and --script FILE.py" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("form", "name", "command"),
    [
        ("--out", "winner", "python {path}/predict.py new.jsonl"),
        ("--script", "winner.py", "python {path} --data new.jsonl"),
    ],
)
def test_the_last_line_names_the_command_that_answers_new_texts_and_what_it_prints(
    form: str,
    name: str,
    command: str,
    stopped: RunDirectory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = Chosen(name="best", method=Method(), seed=7, split="test", row=None)
    done = Export(folder=tmp_path, chosen=chosen, members=1, agreement=0.9, kept=True)
    monkeypatch.setattr("search.export.model.export_model", lambda *given, **more: done)
    monkeypatch.setattr("search.export.script.export_script", lambda *given, **more: chosen)
    path = tmp_path / name
    assert main(["export", str(stopped.path), form, str(path)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    told = command.format(path=path)
    example = '{"text": "…"}'
    said = f"new examples, lines of {example}: `{told}` prints for each the probability that "
    assert last == f"{said}the review is positive"


def test_a_mistake_is_one_line(
    stopped: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(stopped.path), "--out", str(tmp_path / "out")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_what_is_no_run_is_said_before_torch_is_imported(
    measured: Callable[..., Any], tmp_path: Path
) -> None:
    told = measured("export", str(tmp_path), "--out", str(tmp_path / "out"))
    assert (told.code, told.heavy) == (2, [])
    assert told.errors.startswith(f"error: {tmp_path}: holds no run")
