import pytest

from search.__main__ import main
from search.storage.run_directory import RunDirectory

DEV = "configs/dev.yaml"


def test_one_proposal_of_the_playbook_and_nothing_is_trained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["propose", DEV, "--set", "agent.branches=2"]) == 0
    output = capsys.readouterr().out
    assert all(column in output for column in ("branch", "family", "hypothesis", "space"))
    assert "refused" not in output


def test_the_next_round_of_a_run_is_another(
    stopped: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["propose", DEV, "--set", "agent.branches=2"]) == 0
    first = capsys.readouterr().out
    assert main(["propose", DEV, "--out", str(stopped.path)]) == 0
    assert capsys.readouterr().out != first


def test_a_run_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["propose", DEV, "--out", "runs/nowhere"]) == 2
    assert "holds no run" in capsys.readouterr().err
