import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from search.__main__ import main
from search.config.schema import RunConfig
from search.config.tasks import HiddenTask
from search.ledger.events import HiddenRead, Resumed
from search.ledger.log import Ledger
from search.storage.run_directory import RunDirectory, new_run
from tests.search.cli.conftest import SLOWER, Measured
from tests.small_runs.synthetic import synthetic_run
from trainers.data.settings import ToyTask
from trainers.models.settings import HubModel


def test_status_for_a_script(stopped: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(stopped.path), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["state"], status["ended"], status["planned"]) == ("interrupted", 1, 18)
    assert status["best"] == {"trial": "t1", "pgr": 0.5}


def test_status_for_a_person(stopped: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(stopped.path)]) == 0
    output = capsys.readouterr().out
    assert "interrupted, round 1: 1 of 18 trials ended" in output
    assert next(line for line in output.splitlines() if line.startswith("one")).split()[1] == "0.500"


def test_a_finished_run_says_who_has_opened_its_test_split(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = synthetic_run(tmp_path / "run", 12)
    assert main(["status", str(run.path)]) == 0
    assert "the test split has been opened once, by synthetic-12\n" in capsys.readouterr().out
    assert main(["status", str(run.path), "--json"]) == 0
    opened = json.loads(capsys.readouterr().out)["test_split"]
    assert opened == json.loads(run.result.read_text())["test_split"]


def resumed(run: RunDirectory) -> None:
    """Let the run look as one that a process took up again and has not ended."""
    ledger = Ledger(run.ledger)
    ledger.append(Resumed())
    ledger.close()


def test_a_killed_run_is_told_from_one_at_work(
    stopped: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    resumed(stopped)
    with stopped.locked():
        assert main(["status", str(stopped.path)]) == 0
        assert "no process" not in capsys.readouterr().out
        assert main(["status", str(stopped.path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["at_work"] is True
    assert main(["status", str(stopped.path)]) == 0
    assert f"at work on it: python -m search resume {stopped.path}\n" in capsys.readouterr().out


def test_watching_a_stopped_run_shows_it_and_ends(
    stopped: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", str(stopped.path), "--watch"]) == 0
    assert "interrupted, round 1: 1 of 18 trials ended" in capsys.readouterr().out


def test_watching_a_killed_run_says_once_how_to_resume_it_and_ends(
    stopped: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    resumed(stopped)
    with stopped.locked():
        pass  # a process was at work on it, and is gone
    assert main(["status", str(stopped.path), "--watch"]) == 0
    output = capsys.readouterr().out
    assert "in progress, round 1: 1 of 18 trials ended" in output
    assert output.count(f"at work on it: python -m search resume {stopped.path}\n") == 1


def test_one_answer_or_many(stopped: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(stopped.path), "--watch", "--json"]) == 2
    output = capsys.readouterr()
    assert (output.out, "choose one of them" in output.err) == ("", True)


def test_a_look_is_cheap(stopped: RunDirectory, measured: Callable[..., Measured]) -> None:
    ran = measured("status", str(stopped.path), "--json")
    assert (ran.code, ran.heavy) == (0, [])
    assert json.loads(ran.output)["ended"] == 1
    assert ran.cpu_s <= 1.0 * SLOWER
    assert ran.peak_mb <= 150


def test_a_look_is_as_cheap_while_hidden_tasks_of_other_models_are_confirmed(
    tmp_path: Path,
    config: RunConfig,
    events: SimpleNamespace,
    minilm: Path,
    measured: Callable[..., Measured],
) -> None:
    models = [HubModel(path=str(minilm), max_length=length) for length in (16, 32)]
    hidden = tuple(
        HiddenTask(name=name, task=ToyTask(seed=3), strong=config.strong.model_copy(update={"model": model}))
        for name, model in zip(("first", "second"), models, strict=True)
    )
    run = new_run(tmp_path / "run", config.model_copy(update={"hidden": hidden}))
    ledger = Ledger(run.ledger)
    for event in (
        events.run_started(),
        events.started("t1"),
        events.reached("t1", 1.0, 0.5),
        events.ended("t1"),
        events.started("c1", purpose="confirm", branch=""),
        HiddenRead(task="first", train_s=1.0, trials=3),
        events.started("h1-00001", purpose="hidden", branch="", task="first"),
    ):
        ledger.append(event)
    ledger.close()
    ran = measured("status", str(run.path), "--json")
    assert (ran.code, ran.heavy) == (0, [])
    # One of the search, no replicate, naive and two finalists on three seeds; on the hidden tasks 3 are
    # known, and naive and the one finalist on three seeds may run.
    assert json.loads(ran.output)["planned"] == 1 + 9 + 3 + 6
    assert ran.cpu_s <= 1.0 * SLOWER
