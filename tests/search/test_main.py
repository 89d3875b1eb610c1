"""The command line in this process: what scripts, shells and learners read."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from agents.language.proposal import Branch, Proposal
from search.__main__ import main
from search.cli.parser import parser
from search.config.schema import RunConfig
from search.ledger.events import Interrupted, Proposed
from search.ledger.log import Ledger
from search.storage.run_directory import RunDirectory, new_run

COMMANDS = ("run", "resume", "baselines", "propose", "status", "report", "completion")


@pytest.fixture
def stopped(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, branch: Callable[..., Branch]
) -> RunDirectory:
    """A run of one completed trial that was interrupted."""
    run = new_run(tmp_path / "run", config)
    ledger = Ledger(run.ledger)
    proposal = Proposal(branches=(branch("one"),), rationale="")
    for event in (
        events.run_started(),
        Proposed(round=1, proposal=proposal, seconds=0),
        events.started("t1"),
        events.reached("t1", 1.0, 0.5),
        events.ended("t1"),
        Interrupted(),
    ):
        ledger.append(event)
    ledger.close()
    return run


def test_status_for_a_script(stopped: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(stopped.path), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["state"], status["ended"], status["planned"]) == ("interrupted", 1, 17)
    assert status["best"] == {"trial": "t1", "pgr": 0.5}


def test_watching_a_stopped_run_shows_it_and_ends(
    stopped: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", str(stopped.path), "--watch"]) == 0
    assert "interrupted, round 1: 1 of 17 trials ended" in capsys.readouterr().out


def test_report_prints_the_path_of_what_it_wrote(
    stopped: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(stopped.path)]) == 0
    assert Path(capsys.readouterr().out.strip()).read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("command", ["status", "report", "resume"])
def test_what_is_no_run_is_a_mistake_in_the_input(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(tmp_path / "nowhere")]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_a_finished_run_gives_its_outcome_to_a_script(
    stopped: RunDirectory, capsys: pytest.CaptureFixture[str], events: SimpleNamespace
) -> None:
    config, _ = stopped.load()
    text = stopped.ledger.read_text().replace('"c0"', f'"{config.sha256}"')
    stopped.ledger.write_text(text + '{"event": "finished"}\n')
    stopped.result.write_text('{"best": {"pgr": 0.5}}')
    assert main(["resume", str(stopped.path), "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out) == {"best": {"pgr": 0.5}}
    assert "is finished" in output.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_by_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f" {command} " in capsys.readouterr().out.partition("examples:")[2]


def test_the_examples_are_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        examples = capsys.readouterr().out.partition("examples:")[2].splitlines()
        for line in (one for one in examples if one.startswith("  python -m search ")):
            words = line.partition("|")[0].partition(">")[0].split()[3:]
            parser().parse_args(words)


def test_a_shell_completes_commands_and_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "w2s.bash"
    script.write_text(capsys.readouterr().out)

    def completed(*words: str) -> list[str]:
        line = " ".join(f"'{word}'" for word in words)
        asked = (
            f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _shtab_w2s; printf '%s\\n' ${{COMPREPLY[@]}}"
        )
        ran = subprocess.run(
            ["bash", "-c", f"source {script}; {asked}"], capture_output=True, text=True, check=True
        )
        return ran.stdout.split()

    assert completed("w2s", "st") == ["status"]
    assert set(completed("w2s", "status", "--")) >= {"--watch", "--json"}
