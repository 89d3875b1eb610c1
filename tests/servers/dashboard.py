"""The real optuna-dashboard, started as docs/dashboards.md says, and asked through its HTTP API."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.ports import free_port

Get = Callable[[str], Any]


@contextmanager
def dashboard(storage: str) -> Iterator[Get]:
    """Start the program on a journal or a database; yields what answers a path of its API, as JSON."""
    port = free_port()
    program = Path(sys.executable).with_name("optuna-dashboard")
    process = subprocess.Popen(
        [str(program), storage, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def get(path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return json.load(answer)

    try:
        _wait(process, get)
        yield get
    finally:
        process.kill()
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", get: Get) -> None:
    for _ in range(300):
        try:
            get("/api/meta")
            return
        except OSError:
            assert process.poll() is None, "optuna-dashboard has ended"
            time.sleep(0.1)
    raise AssertionError("optuna-dashboard does not answer")


def shown(get: Get, study: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A study's details, and its trials, as the page shows them."""
    [summary] = [one for one in get("/api/studies")["study_summaries"] if one["study_name"] == study]
    details = get(f"/api/studies/{summary['study_id']}?after=0")
    return details, details["trials"]


def user_attrs(trial: dict[str, Any]) -> dict[str, str]:
    """A trial's user attributes, as the page spells them."""
    return {attr["key"]: attr["value"] for attr in trial["user_attrs"]}


def params(trial: dict[str, Any]) -> dict[str, str]:
    """A trial's parameters, as the page spells them."""
    return {param["name"]: param["param_external_value"] for param in trial["params"]}
