import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from cluster import commit as module
from cluster.commit import COMMIT, commit, other_code, running_code


def git(where: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=where, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the code seems to lie."""
    monkeypatch.delenv(COMMIT, raising=False)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "commit.py"))
    return tmp_path


def test_the_commit_of_the_repository_with_a_plus_once_it_is_changed(copy: Path) -> None:
    git(copy, "init", "--quiet")
    (copy / "code.py").write_text("1")
    git(copy, "add", ".")
    git(copy, "commit", "--quiet", "--message=first")
    head = git(copy, "rev-parse", "HEAD")
    assert commit() == head
    (copy / "code.py").write_text("2")
    assert commit() == f"{head}+"


def test_programs_that_a_repository_runs_are_given_no_keys(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(copy, "init", "--quiet")
    (copy / "code.py").write_text("1")
    git(copy, "add", ".")
    git(copy, "commit", "--quiet", "--message=first")
    monitor = copy / "monitor"
    monitor.write_text(f"#!/bin/sh\nenv > {copy}/given\n")
    monitor.chmod(0o755)
    git(copy, "config", "core.fsmonitor", str(monitor))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    commit()
    given = (copy / "given").read_text()
    assert "PATH=" in given
    assert "sk-secret" not in given


def test_a_copy_without_a_repository_is_of_an_unknown_commit(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(copy.parent))
    assert commit() == "unknown"


def test_a_job_is_told_its_commit(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMMIT, "abc")
    assert commit() == "abc"


def test_the_running_code_is_known_by_sources_and_libraries_too(copy: Path) -> None:
    root = copy / "code"
    (root / "search").mkdir(parents=True)
    (root / "search" / "a.py").write_text("1")
    module.__file__ = str(root / "cluster" / "commit.py")
    before = running_code()
    assert before["torch"] == metadata.version("torch")
    assert before["python"].startswith("3.")
    assert running_code() == before
    (root / "search" / "a.py").write_text("2")
    assert other_code(before, running_code()) == f"sources {before['sources']} → {running_code()['sources']}"


def test_a_change_of_code_is_said_in_words() -> None:
    then = {"commit": "a" * 40, "sources": "s1", "torch": "2.11.0"}
    assert other_code(then, dict(then)) == ""
    now = {"commit": "b" * 40 + "+", "sources": "s1", "torch": "2.13.0", "ray": "2.60.0"}
    assert other_code(then, now) == "commit aaaaaaaaaa → bbbbbbbbbb+, torch 2.11.0 → 2.13.0"
