import json
from collections.abc import Callable

import pytest

from search.__main__ import main
from search.ledger.events import Resumed
from search.ledger.log import Ledger
from search.storage.run_directory import RunDirectory
from tests.search.cli.conftest import SLOWER, Measured


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


def test_a_killed_run_is_told_from_one_at_work(
    stopped: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(stopped.ledger)
    ledger.append(Resumed())
    ledger.close()
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
