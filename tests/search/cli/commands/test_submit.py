from collections.abc import Callable, Iterator

import pytest

from cluster.access import with_token
from search.__main__ import main
from tests.search.cli.conftest import SLOWER, Measured
from tests.servers.jobs import JOB, LOG, job_server
from tests.servers.ports import free_port

DEV = "configs/dev.yaml"


@pytest.fixture(autouse=True)
def _with_a_token() -> Iterator[None]:
    with with_token():
        yield


@pytest.mark.parametrize(
    ("status", "driver", "code"), [("SUCCEEDED", 0, 0), ("FAILED", 2, 2), ("STOPPED", 0, 130)]
)
def test_a_job_that_is_followed_gives_its_log_and_its_exit_code(
    status: str, driver: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with job_server(status=status, exit_code=driver) as address:
        assert main(["submit", "--address", address, "--follow", JOB]) == code
    assert capsys.readouterr().out == LOG


def test_a_job_that_the_cluster_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    with job_server(status="SUCCEEDED", exit_code=0) as address:
        assert main(["submit", "--address", address, "--follow", "search-2"]) == 2
    assert "--follow search-2: the cluster has no such job" in capsys.readouterr().err


def test_an_address_where_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    assert main(["submit", DEV, "--address", address, "--out", "/shared/runs/x"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: --address {address}: no Ray job server answers there")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([DEV, "--address", "http://head:8265"], "submit: name CONFIG and --out, or --follow ID"),
        (["--address", "http://head:8265", "--out", "/shared/x"], "submit: name CONFIG and --out"),
        (
            [DEV, "--address", "http://head:8265", "--out", "runs/x"],
            "must be an absolute path that every node",
        ),
        ([DEV, "--out", "/shared/x"], "Missing option '--address'; see python -m search submit --help"),
    ],
)
def test_what_is_missing_is_said_before_anybody_is_asked(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", *words]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_typo_is_answered_before_ray_is_loaded(measured: Callable[..., Measured]) -> None:
    ran = measured(
        "submit", DEV, "--address", "http://head:8265", "--out", "/shared/x", "--set", "serch.trials=1"
    )
    assert (ran.code, ran.heavy) == (2, [])
    assert "did you mean search?" in ran.errors
    assert ran.cpu_s <= 1.5 * SLOWER
