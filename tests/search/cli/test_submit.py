"""What is refused before anything is sent, and jobs that are followed; test_nodes.py has a real cluster."""

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.job_submission import JobStatus

from cluster import jobs
from search.__main__ import main
from tests.cluster.conftest import free_port

DEV = "configs/dev.yaml"
HEAD = "http://127.0.0.1:8265"


@dataclass
class Scripted:
    """Ray's client of a cluster whose job writes two lines; interrupted: Ctrl-C comes after the first."""

    code: int = 0
    interrupted: bool = False
    submitted: list[dict[str, Any]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def submit_job(self, **job: Any) -> str:
        self.submitted.append(job)
        return str(job["submission_id"])

    def stop_job(self, job_id: str) -> bool:
        self.stopped.append(job_id)
        return True

    def get_job_info(self, job_id: str) -> Any:
        if job_id == "unknown":
            raise RuntimeError("Request failed with status code 404")
        status = JobStatus.FAILED if self.code else JobStatus.SUCCEEDED
        return SimpleNamespace(status=status, driver_exit_code=self.code)

    async def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        yield "first\n"
        if self.interrupted:
            self.interrupted = False
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0)
        yield "second\n"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    client = Scripted()
    monkeypatch.setattr(jobs, "connect", lambda address: client)
    return client


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name CONFIG and --out, or --follow ID"),
        ([DEV], "name CONFIG and --out, or --follow ID"),
        ([DEV, "--out", "runs/one"], "--out runs/one: must be an absolute path that every node sees"),
        ([DEV, "--out", "/shared/one", "--set", "search.trails=1"], "did you mean trials?"),
        (["configs/none.yaml", "--out", "/shared/one"], "there is no such file"),
        (["--follow", "unknown"], "--follow unknown: the cluster has no such job; see `ray job list`"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_sent(
    cluster: Scripted, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", "--address", HEAD, *words]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
    assert cluster.submitted == []


def test_an_address_where_nobody_answers_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    assert main(["submit", DEV, "--out", "/shared/one", "--address", address]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"--address {address}: no Ray job server answers there" in line


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_job_is_the_same_run_and_its_exit_code_is_ours(
    cluster: Scripted, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.code = code
    words = ["submit", DEV, "--out", "s3://bucket/one", "--set", "search.trials=9", "--address", HEAD]
    assert main(words) == code
    [job] = cluster.submitted
    assert job["entrypoint"] == f"python -m search run {DEV} --out s3://bucket/one --set search.trials=9"
    assert job["runtime_env"]["working_dir"] == str(Path.cwd())
    assert job["submission_id"].startswith("dev-")
    assert capsys.readouterr().out.splitlines() == [f"job {job['submission_id']}", "first", "second"]


def test_ctrl_c_where_nobody_can_be_asked_leaves_the_job_running(
    cluster: Scripted, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.interrupted = True
    code: object
    try:
        code = main(["submit", "--follow", "known", "--address", HEAD])
    except SystemExit as error:
        code = error.code
    assert code == 130
    assert cluster.stopped == []
    assert f"python -m search submit --address {HEAD} --follow known" in capsys.readouterr().out


def test_whoever_answers_s_has_the_job_stopped_and_followed_to_its_end(
    cluster: Scripted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.interrupted = True
    monkeypatch.setattr("search.cli.submit._stop_wanted", lambda: True)
    assert main(["submit", "--follow", "known", "--address", HEAD]) == 0
    assert cluster.stopped == ["known"]
    assert "stopping; the run saves its state" in capsys.readouterr().out
