import os
import re
import socket
import time
from pathlib import Path

import pytest
import ray

from cluster.access import chosen, with_token
from cluster.runtime import ray_runtime
from tests.small_runs.exposure import holding
from tests.small_runs.intruder import answers, borders, entered, listening
from tests.small_runs.settings import ONE_CPU


def test_a_ray_of_ours_has_a_random_token() -> None:
    first, second = chosen({}), chosen({"RAY_AUTH_MODE": "token"})
    assert first["RAY_AUTH_MODE"] == second["RAY_AUTH_MODE"] == "token"
    assert re.fullmatch("[0-9a-f]{64}", first["RAY_AUTH_TOKEN"])
    assert first["RAY_AUTH_TOKEN"] != second["RAY_AUTH_TOKEN"]


@pytest.mark.parametrize("name", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
def test_a_token_of_the_users_stays(name: str) -> None:
    assert chosen({name: "mine"}) == {"RAY_AUTH_MODE": "token"}


def test_who_turns_it_off_is_warned(caplog: pytest.LogCaptureFixture) -> None:
    assert chosen({"RAY_AUTH_MODE": "Disabled"}) == {}
    assert "can run commands as you" in caplog.text


def test_the_environment_is_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with with_token():
        assert os.environ["RAY_AUTH_TOKEN"]
    assert "RAY_AUTH_TOKEN" not in os.environ
    assert os.environ["RAY_AUTH_MODE"] == "token"


AGENT = 52365  # where the agent of a machine's first Ray shows its logs; a second Ray's has no page


def shows_logs(address: str) -> bool | None:
    """Whether the agent of the Ray at an address shows its logs; None if another Ray has the agent's port."""
    for _ in range(40):  # it needs some seconds to start
        with socket.socket() as asking:
            taken = asking.connect_ex(("127.0.0.1", AGENT)) == 0
        places = listening(address)
        if AGENT in [port for _, port in places]:
            return any("/logs" in page for page in answers(places))
        if taken:
            return None
        time.sleep(0.5)
    return None


@pytest.mark.slow
def test_who_has_no_token_is_refused_here_and_from_another_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same stranger gets in where nobody asks for a token: the attack works."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv(*ONE_CPU)
    for mode, gets_in in (("token", False), ("disabled", True)):
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
        with ray_runtime():
            address = ray.get_runtime_context().gcs_address
            assert entered(address) is gets_in
            if gets_in:
                assert shows_logs(address) in (True, None)
                continue
            token = ray.get(ray.remote(lambda: os.environ["RAY_AUTH_TOKEN"]).remote(), timeout=60)
            session = Path(ray._private.worker._global_node.get_session_dir_path())
            assert not entered(address, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64})
            assert entered(address, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token})
            assert holding(session, token) == []
            assert not any(token in line.read_text() for line in Path("/proc").glob("[0-9]*/cmdline"))
            assert answers(listening(address)) == []
            with borders() as crossing:
                if isinstance(crossing, str):
                    pytest.skip(crossing)
                assert not entered(address, across=crossing)
                assert entered(address, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}, crossing)
