"""Tab in real shells, at a terminal."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from search.__main__ import main
from tests.search.cli.conftest import REPO, SLOWER, Measured

PATIENCE_S = 120.0
TAB, ALL, HOME = (
    "\t",
    "\x1b*",
    "\x01",
)  # keys: complete; insert all candidates (bash); to the line's beginning
BASH = ["bash", "--norc", "--noprofile", "-i"]
ZSH = ["zsh", "-f", "-i"]


class Shell:
    """An interactive shell at a terminal of its own, which knows `w2s`."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path, setup: str) -> None:
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, environment)
        self._enter(f"{setup}; echo rea''dy", "ready")

    def words(self, typed: str, key: str = TAB) -> list[str]:
        """The words of the line after a key; X marks where the cursor was then."""
        shown = self._enter(f"{typed}{key}X END{HOME}printf '<%s>' ", "<END>")
        return re.findall(r"<([^<>]*)>", shown[shown.rindex("<w2s>") :])[:-1]

    def _enter(self, line: str, until: str) -> str:
        os.write(self._terminal, f"{line}\r".encode())
        shown, deadline = "", time.monotonic() + PATIENCE_S
        while until not in shown:
            if time.monotonic() > deadline:
                raise TimeoutError(shown)
            if select.select([self._terminal], [], [], 0.1)[0]:
                shown += os.read(self._terminal, 4096).decode()
        return shown

    def close(self) -> None:
        """Hang up; a shell that is still busy with a line does not notice."""
        os.close(self._terminal)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """With a command w2s, as installation makes it, in the path."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "w2s"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m search "$@"\n')
    program.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(REPO), "TERM": "xterm", "COLUMNS": "200"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config, a folder with a run in it, and a file."""
    folder = tmp_path_factory.mktemp("work")
    for name in ("configs/dev.yaml", "configs/notes.txt", "runs/long/config.yaml", "reviews.jsonl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.fixture(scope="module")
def bash(environment: dict[str, str], folder: Path) -> Iterator[Shell]:
    setup = "bind 'set enable-bracketed-paste off'; eval \"$(w2s completion bash)\""
    shell = Shell(BASH, environment, folder, setup)
    yield shell
    shell.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("w2s sta", ["w2s", "status", "X"]),
        ("w2s run con", ["w2s", "run", "configs/X"]),
        ("w2s run configs/", ["w2s", "run", "configs/dev.yaml", "X"]),
        ("w2s status runs/", ["w2s", "status", "runs/long", "X"]),
        ("w2s run c --out runs/l", ["w2s", "run", "c", "--out", "runs/long", "X"]),
        ("w2s status runs/long --j", ["w2s", "status", "runs/long", "--json", "X"]),
        ("w2s completion z", ["w2s", "completion", "zsh", "X"]),
        ("w2s run c --set sea", ["w2s", "run", "c", "--set", "search.X"]),
        ("w2s run c --set search.tr", ["w2s", "run", "c", "--set", "search.trials=X"]),
        ("w2s run c --set search.prun", ["w2s", "run", "c", "--set", "search.pruning.X"]),
        ("w2s run c --set agent.kind=cl", ["w2s", "run", "c", "--set", "agent.kind=claude", "X"]),
        ("w2s run c --set=sea", ["w2s", "run", "c", "--set=search.X"]),
        ("w2s run c --set=agent.kind=cl", ["w2s", "run", "c", "--set=agent.kind=claude", "X"]),
        ("w2s run c --set seed=1 --set see", ["w2s", "run", "c", "--set", "seed=1", "--set", "seed=X"]),
        ("w2s run c --out s3://b/x --set see", ["w2s", "run", "c", "--out", "s3://b/x", "--set", "seed=X"]),
        ("w2s run 'my config' --set see", ["w2s", "run", "my config", "--set", "seed=X"]),
        ("w2s run c --set task.path=rev", ["w2s", "run", "c", "--set", "task.path=reviews.jsonl", "X"]),
        ("w2s settings search.promo", ["w2s", "settings", "search.promotion.X"]),
    ],
)
def test_tab_in_bash(bash: Shell, typed: str, words: list[str]) -> None:
    assert bash.words(typed) == words


@pytest.mark.slow
def test_bash_offers_every_value_and_every_name(bash: Shell) -> None:
    kinds = ["claude", "playbook", "replay"]
    assert bash.words("w2s run c --set agent.kind=", ALL)[4:-1] == [f"agent.kind={kinds[0]}", *kinds[1:]]
    names = bash.words("w2s run c --set search.allocation.", ALL)[4:-1]
    assert names == [f"search.allocation.{name}=" for name in ("floor", "offering", "spread")]
    commands = bash.words("w2s re", ALL)[1:-1]
    assert commands == ["report", "resume"]


@pytest.mark.slow
def test_tab_in_bash_where_words_are_not_broken(environment: dict[str, str], folder: Path) -> None:
    setup = "bind 'set enable-bracketed-paste off'; COMP_WORDBREAKS=' '; eval \"$(w2s completion bash)\""
    shell = Shell(BASH, environment, folder, setup)
    assert shell.words("w2s run c --set agent.kind=cl") == [
        "w2s",
        "run",
        "c",
        "--set",
        "agent.kind=claude",
        "X",
    ]
    assert shell.words("w2s run c --set=sea") == ["w2s", "run", "c", "--set=search.X"]
    shell.close()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_tab_in_zsh(environment: dict[str, str], folder: Path) -> None:
    setup = 'bindkey -e; autoload -Uz compinit; compinit -u -D; eval "$(w2s completion zsh)"'
    shell = Shell(ZSH, environment, folder, setup)
    assert shell.words("w2s sta") == ["w2s", "status", "X"]
    assert shell.words("w2s run c --set search.tr")[:5] == ["w2s", "run", "c", "--set", "search.trials="]
    assert shell.words("w2s run c --set agent.kind=cl")[:5] == [
        "w2s",
        "run",
        "c",
        "--set",
        "agent.kind=claude",
    ]
    shell.close()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
@pytest.mark.parametrize(
    ("typed", "candidates"),
    [
        ("w2s sta", ["status"]),
        ("w2s run c --set search.p", ["search.promotion.", "search.pruning."]),
        ("w2s run c --set agent.kind=", ["agent.kind=claude", "agent.kind=playbook", "agent.kind=replay"]),
    ],
)
def test_candidates_in_fish(
    environment: dict[str, str], folder: Path, typed: str, candidates: list[str]
) -> None:
    ran = subprocess.run(
        ["fish", "--no-config", "-c", f"w2s completion fish | source; complete -C '{typed}'"],
        env=environment, cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert sorted(line.partition("\t")[0] for line in ran.stdout.splitlines()) == candidates


@pytest.mark.parametrize("line", ["w2s sta", "w2s run c --set search.", "w2s run c --set agent.kind="])
def test_tab_is_quick_and_loads_neither_ray_nor_torch(line: str, measured: Callable[..., Measured]) -> None:
    ran = measured(
        _W2S_COMPLETE="complete_fish", _TYPER_COMPLETE_FISH_ACTION="get-args", _TYPER_COMPLETE_ARGS=line
    )
    assert ran.output.strip()
    assert (ran.code, ran.heavy) == (0, [])
    assert ran.cpu_s <= 1.5 * SLOWER


@pytest.mark.slow
def test_no_candidate_is_half_a_meaning(measured: Callable[..., Measured]) -> None:
    for group in ("", "agent.", "search.", "trial.", "tracking."):
        ran = measured(
            _W2S_COMPLETE="complete_fish",
            _TYPER_COMPLETE_FISH_ACTION="get-args",
            _TYPER_COMPLETE_ARGS=f"w2s run c --set {group}",
            COLUMNS="80",
        )
        for candidate in ran.output.splitlines():
            assert re.match(rf"{re.escape(group)}\w+[.=](\t|$)", candidate), candidate


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_W2S_COMPLETE=complete_" in capsys.readouterr().out


def test_another_shell_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "'bash', 'zsh', 'fish'" in capsys.readouterr().err
