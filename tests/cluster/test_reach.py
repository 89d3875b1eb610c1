import importlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from cluster import reach
from cluster.reach import HEADER, SETTINGS, check_reachable
from search.__main__ import main


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "ANSWER_S", 0.3)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port that takes connections and says nothing, as a stopped process does."""
    with socket.create_server(("", 0)) as server:  # Ray takes 127.0.0.1 for this machine's other address
        yield server


def address_of(server: socket.socket) -> str:
    return f"127.0.0.1:{server.getsockname()[1]}"


def serve(server: socket.socket, answer: bytes) -> None:
    """Answer the next client."""

    def answer_one() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(100)
            connection.sendall(answer)

    threading.Thread(target=answer_one, daemon=True).start()


@pytest.mark.slow
def test_a_dead_cluster_is_a_mistake_in_the_input_named_within_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], listener: socket.socket
) -> None:
    dead = address_of(listener)
    listener.close()
    monkeypatch.setenv("RAY_ADDRESS", dead)
    importlib.import_module("search.campaign")  # takes its time on a busy machine
    started = time.monotonic()
    assert main(["baselines", "configs/dev.yaml"]) == 2
    assert time.monotonic() - started < 20
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: RAY_ADDRESS={dead}: no cluster answers there (")
    assert line.endswith("start it, correct the variable, or unset it to run on this machine")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_a_stopped_cluster_is_not_waited_for(listener: socket.socket, prefix: str) -> None:
    with pytest.raises(ValueError, match=r"no cluster answers there \(timed out\)"):
        check_reachable(prefix + address_of(listener))


@pytest.mark.parametrize(
    ("answer", "why"),
    [(b"HTTP/1.1 400 Bad Request\r\n", "another kind of server"), (b"", "the connection was closed")],
)
def test_another_server_is_no_cluster(listener: socket.socket, answer: bytes, why: str) -> None:
    serve(listener, answer)
    with pytest.raises(ValueError, match=why):
        check_reachable(address_of(listener))


@pytest.mark.parametrize("address", ["hello", "no-such-host.invalid:6379", "127.0.0.1:port", "ray://"])
def test_what_is_no_address_is_named(address: str) -> None:
    with pytest.raises(ValueError, match=f"^RAY_ADDRESS={address}: no cluster answers there"):
        check_reachable(address)


def test_a_server_that_greets_is_reachable(listener: socket.socket) -> None:
    serve(listener, bytes([0, 0, 0, SETTINGS]) + bytes(HEADER - 4))
    check_reachable(address_of(listener))
