from typing import Any

import pytest

from search.__main__ import main
from search.config.schema import RunConfig
from search.storage.run_directory import RunDirectory


def test_what_cannot_be_compared_is_one_line(
    stopped: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(stopped.path)]) == 2
    assert "name two runs or more" in capsys.readouterr().err
    assert main(["compare", str(stopped.path), str(stopped.path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "has no outcome yet" in line


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """The configs that the command would run."""
    configs: list[RunConfig] = []

    def start(loaded: RunConfig, *_: Any, **__: Any) -> None:
        configs.append(loaded)

    monkeypatch.setattr("search.cli.commands.compare.start", start)
    return configs


def test_methods_and_seeds_are_settings(started: list[RunConfig]) -> None:
    names = "naive, confidence-loss,robust-losses:sce"
    assert main(["compare", "configs/dev.yaml", "--methods", names, "--seeds", "6"]) == 0
    (run,) = started
    assert [branch.name for branch in run.own_branches] == ["confidence-loss", "robust-losses-sce"]
    assert (run.confirm.seeds, run.confirm.finalists, run.replication.seeds) == (6, 2, 1)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["configs/dev.yaml"], "configs/dev.yaml: has no methods: name them"),
        (["configs/dev.yaml", "--methods", "x"], "configs/dev.yaml: methods: no method is called 'x'"),
        (["runs/a", "b.yaml"], "compare runs/a b.yaml: name one config, or run directories"),
        (["runs/a", "runs/b", "--seeds", "3"], "--methods, --seeds, --out and --set are for methods"),
        (["nowhere.yaml"], "nowhere.yaml: there is no such file"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], line: str, started: list[RunConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *words]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"error: {line}")
    assert errors.count("\n") == 1
    assert not started
