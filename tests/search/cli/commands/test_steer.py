import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from agents.language.proposal import Branch
from search.__main__ import main
from search.storage.run_directory import RunDirectory
from tests.search.cli.conftest import SLOWER, Measured


def test_an_order_is_left_for_the_run(
    stopped: RunDirectory, tmp_path: Path, branch: Callable[..., Branch], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(branch("mine").model_dump(mode="json")))
    words = ["--trials", "20", "--stop", "one", "--add", str(tmp_path / "mine.yaml"), "--pause"]
    assert main(["steer", str(stopped.path), *words]) == 0
    assert "an order waits in steer.yaml; the run takes it when it is resumed" in capsys.readouterr().out
    assert main(["steer", str(stopped.path), "--go-on", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    asked = yaml.safe_load((stopped.path / "steer.yaml").read_text())
    assert shown == {"waiting": asked, "taken": []}
    assert (asked["trials"], asked["stop"], asked["pause"]) == (20, ["one"], False)
    assert [added["name"] for added in asked["add"]] == ["mine"]


def test_a_killed_run_takes_an_order_when_it_is_resumed(
    stopped: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = stopped.ledger.read_text().splitlines()
    stopped.ledger.write_text("\n".join(line for line in lines if '"interrupted"' not in line) + "\n")
    with stopped.locked():
        assert main(["steer", str(stopped.path), "--pause"]) == 0
    assert "the run takes it at its next decision" in capsys.readouterr().out
    assert main(["steer", str(stopped.path), "--pause"]) == 0
    assert "the run takes it when it is resumed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--trials", "0"], "search.trials: Input should be greater than or equal to 1"),
        (["--stop", "onf"], "stop: there is no branch onf; did you mean one?"),
        (["--add", "nowhere.yaml"], "nowhere.yaml: there is no such file"),
        (["--finish", "--pause"], "finish: contradicts pause"),
    ],
)
def test_a_mistake_leaves_nothing(
    stopped: RunDirectory, words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["steer", str(stopped.path), *words]) == 2
    assert problem in capsys.readouterr().err
    assert not (stopped.path / "steer.yaml").exists()


def test_to_steer_is_cheap(stopped: RunDirectory, measured: Callable[..., Measured]) -> None:
    ran = measured("steer", str(stopped.path), "--trials", "20")
    assert (ran.code, ran.heavy) == (0, [])
    assert ran.cpu_s <= 1.5 * SLOWER
