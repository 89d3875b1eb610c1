import asyncio
import shlex
import signal
import socket
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray._private.ray_constants import get_runtime_env_default_excludes
from ray._private.runtime_env.packaging import create_package
from ray.job_submission import JobStatus

from cluster import jobs
from cluster.jobs import (
    STOP_SETTINGS,
    LogCursor,
    checked_out,
    checked_working_dir,
    connect,
    entry_point,
    exit_code,
    follow,
    runtime_env,
)
from tests.servers.ports import free_port

ROOT = Path(__file__).parents[2]
LOG = "one\ntwo\nthree\n"


def test_the_entry_point_survives_the_shell() -> None:
    overrides = ["search.trials=3", "task.splits={weak_train: 1, test: 2}", "name=it's"]
    words = shlex.split(entry_point(Path("configs/dev.yaml"), overrides, "s3://bucket/run one"))
    assert words[:7] == ["python", "-m", "search", "run", "configs/dev.yaml", "--out", "s3://bucket/run one"]
    assert words[8::2] == overrides
    words = shlex.split(
        entry_point(Path("a.yaml"), ["seed=1"], "/out", [Path("my branch.yaml"), Path("b.yaml")])
    )
    assert words[7:] == ["--branch", "my branch.yaml", "--branch", "b.yaml", "--set", "seed=1"]


def test_what_is_sent_must_hold_code_and_config(tmp_path: Path) -> None:
    assert checked_working_dir(ROOT, ROOT / "configs/dev.yaml") == Path("configs/dev.yaml")
    with pytest.raises(ValueError, match=r"does not hold the code; submit from the repository's root"):
        checked_working_dir(tmp_path, tmp_path / "x.yaml")
    with pytest.raises(ValueError, match=r"x\.yaml: lies outside .* copy it there"):
        checked_working_dir(ROOT, tmp_path / "x.yaml")


@pytest.mark.parametrize("out", ["/shared/run", "s3://bucket/run", "gs://bucket/run"])
def test_an_out_that_outlives_the_job(out: str) -> None:
    assert checked_out(out) == out


@pytest.mark.parametrize("out", ["runs/one", "~/run", "./x"])
def test_an_out_inside_the_jobs_own_copy_is_refused(out: str) -> None:
    with pytest.raises(ValueError, match=f"--out {out}: must be an absolute path that every node sees"):
        checked_out(out)


@pytest.mark.parametrize(
    ("status", "driver", "code"),
    [
        (JobStatus.SUCCEEDED, 0, 0),
        (JobStatus.STOPPED, None, 130),
        (JobStatus.FAILED, 2, 2),
        (JobStatus.FAILED, None, 1),  # it never came to a driver
        (JobStatus.FAILED, -9, 1),
    ],
)
def test_exit_codes(status: JobStatus, driver: int | None, code: int) -> None:
    assert exit_code(status, driver) == code


@pytest.mark.parametrize("first", range(len(LOG) + 1))
@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_log_told_again_from_its_beginning_is_told_once(first: int, size: int) -> None:
    cursor = LogCursor()
    told = cursor.new(LOG[:first])
    cursor.restart()
    told += "".join(cursor.new(LOG[i : i + size]) for i in range(0, len(LOG), size))
    assert told == LOG


def test_a_connection_lost_while_old_lines_are_told_forgets_nothing() -> None:
    cursor = LogCursor()
    assert cursor.new("one\ntwo\n") == "one\ntwo\n"
    cursor.restart()
    assert cursor.new("one\n") == ""
    cursor.restart()
    assert cursor.new(LOG) == "three\n"


class Talkative:
    """A cluster whose job's next line arrives at the very moment of Ctrl-C."""

    lines = 0

    def submit_job(self, *, entrypoint: str, submission_id: str, runtime_env: dict[str, Any]) -> str:
        raise NotImplementedError

    def stop_job(self, job_id: str) -> bool:
        raise NotImplementedError

    def get_job_info(self, job_id: str) -> Any:
        return SimpleNamespace(status=JobStatus.SUCCEEDED, driver_exit_code=0)

    async def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        await asyncio.sleep(0)
        signal.raise_signal(signal.SIGINT)
        for self.lines in range(1, 4):
            yield "a line\n"
            await asyncio.sleep(0.01)


@pytest.fixture
def usual_ctrl_c() -> Iterator[None]:
    """Python's own handler of SIGINT: a test before may have left Ray Tune's."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("usual_ctrl_c")
def test_ctrl_c_is_heard_while_a_line_arrives() -> None:
    client = Talkative()
    with pytest.raises(KeyboardInterrupt):
        follow(client, "job", lambda text: None)
    assert client.lines <= 1


def test_the_environment_says_how_to_stop_and_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret-a")
    monkeypatch.setenv("WANDB_API_KEY", "secret-w")
    env = runtime_env(ROOT, "abc")
    assert env["env_vars"] == {**STOP_SETTINGS, "SEARCH_COMMIT": "abc"}
    assert "secret" not in str(env)


def test_nobody_at_the_address_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"no Ray job server answers there") as caught:
        connect(f"http://127.0.0.1:{free_port()}")
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="must be a URL, such as http://HEAD:8265"):
        connect("head:8265")


def test_a_job_server_that_never_answers_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "ANSWER_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ValueError, match=r"no Ray job server answers there \(.*[Tt]imed out") as caught:
            connect(address)
    assert "\n" not in str(caught.value)


def test_what_is_sent_is_the_code_and_small(tmp_path: Path) -> None:
    package = tmp_path / "package.zip"
    create_package(str(ROOT), package, include_gitignore=True, excludes=get_runtime_env_default_excludes())

    with zipfile.ZipFile(package) as sent:
        top = {name.split("/")[0] for name in sent.namelist()}
    assert {"agents", "cluster", "configs", "search", "trainers"} <= top
    assert not top & {".git", ".venv", ".ci", "tests", "docs", "benchmarks", "runs"}
    assert package.stat().st_size < 3e6  # the sources, which Ray does not compress; no data, no environment
