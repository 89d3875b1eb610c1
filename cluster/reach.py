"""Whether anybody answers at RAY_ADDRESS: `ray.init` itself asks a dead cluster for minutes."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from ray._private.services import canonicalize_bootstrap_address  # what `ray.init` makes of an address

ANSWER_S = 10.0  # to connect, and again for the first answer
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # with empty settings
HEADER = 9  # bytes of an HTTP/2 frame before its content
SETTINGS = 4  # the kind of the frame that a server sends first
CLIENT = "ray://"


@contextmanager
def reaching(address: str | None) -> Iterator[None]:
    """Check the address before a block that connects to it; raises ValueError as `check_reachable` does.

    None, "" and "local" stand for a Ray that starts here.
    """
    if address is None or address in ("", "local"):
        yield
        return
    check_reachable(address)
    try:
        yield
    except ConnectionError as error:
        raise _nobody(address, error) from error


def check_reachable(address: str) -> None:
    """Raise ValueError, of one line, if no server of Ray answers at this value of RAY_ADDRESS.

    Ray's servers speak gRPC, whose first frame holds a server's settings. Behind TLS, only the connection is
    tried.
    """
    try:
        host, _, port = _place(address).rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER_S) as connection:
            if os.environ.get("RAY_USE_TLS", "0") not in ("1", "true", "True"):
                _greet(connection)
    except (OSError, ValueError) as error:
        raise _nobody(address, error) from None


def _nobody(address: str, error: Exception) -> ValueError:
    why = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return ValueError(
        f"RAY_ADDRESS={address}: no cluster answers there ({why}); start it, correct the variable, or "
        "unset it to run on this machine"
    )


def _place(address: str) -> str:
    """host:port"""
    if address.startswith(CLIENT):
        return address.removeprefix(CLIENT).partition("/")[0]
    place = canonicalize_bootstrap_address(address)
    if place is None:
        raise ValueError("it names no cluster")
    return place


def _greet(connection: socket.socket) -> None:
    connection.sendall(HELLO)
    frame = b""
    while len(frame) < HEADER:
        part = connection.recv(HEADER - len(frame))
        if not part:
            raise ConnectionError("the connection was closed")
        frame += part
    if frame[3] != SETTINGS:
        raise ConnectionError("another kind of server")
