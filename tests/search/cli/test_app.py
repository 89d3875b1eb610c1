from collections.abc import Callable

import pytest

from search.__main__ import main
from search.cli.app import COMMANDS
from tests.command_line import parse
from tests.search.cli.conftest import SLOWER, Measured

NAMES = [command.__name__ for command in COMMANDS]


def help_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*words, "--help"]) == 0
    return capsys.readouterr().out


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    listed = help_of(capsys).partition("Commands:")[2].partition("examples:")[0]
    assert [line.split()[0] for line in listed.splitlines() if line.strip()] == NAMES
    assert {"run", "resume", "propose", "baselines", "status", "report", "submit"} < set(NAMES)


@pytest.mark.parametrize("command", NAMES)
def test_every_command_explains_itself_by_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f" {command} " in help_of(capsys, command).partition("examples:")[2]


@pytest.mark.parametrize("command", NAMES)
def test_the_examples_are_commands(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    examples = help_of(capsys, command).replace("\\\n", "").partition("examples:")[2].splitlines()
    for line in (line.strip() for line in examples):
        if line.startswith("python -m search "):
            parse(line.partition("|")[0].partition(">")[0].split()[3:])


@pytest.mark.parametrize("command", [None, *NAMES])
def test_help_fits_a_terminal_and_a_pipe(command: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    lines = help_of(capsys, *([command] if command else [])).splitlines()
    assert max(map(len, lines)) <= 80
    assert not any(line.endswith("...") for line in lines if not line.startswith("Usage:"))  # nothing is cut
    assert all(character.isprintable() for line in lines for character in line)


def test_a_command_says_what_scripts_get_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("run", "resume", "baselines", "status"):
        assert "--json" in help_of(capsys, command)


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["submit", "--help"], ["settings", "seed"]])
def test_help_loads_neither_ray_nor_torch(words: list[str], measured: Callable[..., Measured]) -> None:
    ran = measured(*words)
    assert (ran.code, ran.heavy) == (0, [])
    assert ran.cpu_s <= 1.5 * SLOWER
