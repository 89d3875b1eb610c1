"""What the benchmarks write on stdout: those that print JSON print nothing else there."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
SOURCES = sorted(path.relative_to(REPO) for path in (REPO / "benchmarks").rglob("*.py"))
OTHERWISE = {
    "benchmarks/gpu/__main__.py",  # prints a row a line to people, and keeps the JSON in files
    "benchmarks/structure.py",  # imports the standard library alone
}


def printed_json(source: str) -> bool:
    """Whether a source prints JSON past `write_json`."""
    return any(
        isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "sys.stdout.write")
        and "json.dumps" in ast.unparse(node)
        and "sys.stderr" not in ast.unparse(node)
        for node in ast.walk(ast.parse(source))
    )


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_json_goes_through_the_one_place_that_keeps_stdout_for_it(path: Path) -> None:
    source = (REPO / path).read_text()
    assert printed_json(source) == (str(path) in OTHERWISE)
    assert ("write_json" in source) == ("stdout_for_json()" in source)


def test_printed_json_is_noticed() -> None:
    assert printed_json("print(json.dumps({}, indent=2))")
    assert not printed_json("print(json.dumps({}), file=sys.stderr)")


@pytest.mark.slow
def test_loading_them_prints_nothing_whatever_the_environment_says() -> None:
    """Before stdout is kept, libraries are imported, and one of them prints if W&B is offline."""
    names = [
        ".".join(path.with_suffix("").parts)
        for path in SOURCES
        if re.search("stdout_for_json|calibration.command", (REPO / path).read_text())
    ]
    assert names
    done = subprocess.run(
        [sys.executable, "-c", f"import {', '.join(names)}"],
        cwd=REPO,
        env={**os.environ, "WANDB_MODE": "offline", "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
