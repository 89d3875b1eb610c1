"""The Messages API on loopback with scripted answers: the other end of the SDK in tests and benchmarks."""

import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CHARS_A_TOKEN = 4  # what an English text roughly has
Body = dict[str, Any]


@dataclass(kw_only=True)
class Scripted:
    """One answer: blocks and a stop reason, or an HTTP failure, or silence.

    status: 200, or an error's with `error` as its body. raw: sent in place of a message. silent_s: seconds
    before anything is sent. drop: close the connection without an answer. headers: in place of the usual
    ones. cut: close the connection after so many bytes of the body. drip_s: seconds between two bytes of it.
    """

    content: Sequence[Body] = ()
    stop: str = "end_turn"
    status: int = 200
    error: str = ""
    raw: str | None = None
    silent_s: float = 0.0
    drop: bool = False
    usage: Mapping[str, Any] | None = None
    output_tokens: int = 100
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    drip_s: float = 0.0


USUAL = Scripted()


def text(said: str, **more: Any) -> Scripted:
    """An answer of text that ends the turn."""
    return Scripted(content=[{"type": "text", "text": said}], **more)


def use(name: str, given: Any, id: str = "toolu_1") -> Scripted:
    """An answer that thinks and then asks for a tool."""
    return Scripted(
        content=[
            {"type": "thinking", "thinking": "", "signature": "c2lnbmVk"},
            {"type": "tool_use", "id": id, "name": name, "input": given},
        ],
        stop="tool_use",
    )


@dataclass
class ScriptedClaude:
    """What the server answers and what it was asked.

    answer: called with each request's body, in the order of arrival. key: the only one that is accepted.
    Input tokens are characters divided by four; a prefix that ends at a cache mark and was seen before counts
    as read from the cache, what follows up to the last mark as written to it.
    """

    answer: Callable[[Body], Scripted]
    key: str = "sk-test"
    url: str = ""
    asked: list[Body] = field(default_factory=list)
    counted: list[Body] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    count_failure: Scripted | None = None
    _cached: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def usage(self, body: Body) -> dict[str, int]:
        """Input tokens of a request as the API would bill them, by the cache marks in it."""
        read = written = seen = 0
        digest = hashlib.sha256()
        with self._lock:
            for piece, marked in _pieces(body):
                digest.update(piece.encode())
                seen += len(piece)
                if marked:
                    name = digest.hexdigest()
                    read = seen if name in self._cached else read
                    written = seen
                    self._cached.add(name)
        tokens = [part // CHARS_A_TOKEN for part in (seen - max(read, written), written - read, read)]
        return {
            "input_tokens": tokens[0],
            "cache_creation_input_tokens": max(0, tokens[1]),
            "cache_read_input_tokens": tokens[2],
        }

    @contextmanager
    def serving(self) -> Iterator["ScriptedClaude"]:
        """Serve on a free port of this machine; `url` is where."""
        server = _Server(("127.0.0.1", 0), _Handler)
        server.script = self
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


def in_turn(*answers: Scripted) -> Callable[[Body], Scripted]:
    """Give these answers one after the other; the last one again and again."""
    left = list(answers)
    lock = threading.Lock()

    def answer(body: Body) -> Scripted:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return answer


def tokens_of(body: Body) -> int:
    """Input tokens of a request."""
    return sum(len(piece) for piece, _ in _pieces(body)) // CHARS_A_TOKEN


def _pieces(body: Body) -> Iterator[tuple[str, bool]]:
    """The blocks of a request in the order in which a prefix is formed, and whether each bears a mark."""
    yield json.dumps(body.get("tools", [])), False
    for block in body.get("system", []):
        yield _plain(block), "cache_control" in block
    for message in body["messages"]:
        content = message["content"]
        for block in [{"text": content}] if isinstance(content, str) else content:
            yield message["role"] + _plain(block), "cache_control" in block


def _plain(block: Body) -> str:
    return json.dumps({name: value for name, value in block.items() if name != "cache_control"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    script: ScriptedClaude

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing where the client did not wait for the answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a body waits 40 ms for its headers to be acknowledged
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test's output is its own."""

    def do_POST(self) -> None:
        """Answer as scripted."""
        script = self.server.script
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        script.headers.append(dict(self.headers))
        given = self.headers.get("x-api-key") or self.headers.get("authorization", "").removeprefix("Bearer ")
        if given != script.key:
            self._send(401, _error("authentication_error", f"invalid key {given}"))
        elif self.path == "/v1/messages/count_tokens":
            script.counted.append(body)
            failure = script.count_failure
            counted = json.dumps({"input_tokens": tokens_of(body)})
            self._play(failure, body) if failure else self._send(200, counted)
        elif self.path == "/v1/messages":
            script.asked.append(body)
            self._play(script.answer(body), body)
        else:
            self._send(404, _error("not_found_error", self.path))

    def _play(self, one: Scripted, body: Body) -> None:
        time.sleep(one.silent_s)
        if one.drop:
            self.close_connection = True
            self.connection.close()
        elif one.status != 200:
            self._send(one.status, _error("api_error", one.error), one)
        else:
            self._send(200, one.raw if one.raw is not None else json.dumps(self._message(one, body)), one)

    def _message(self, one: Scripted, body: Body) -> Body:
        usage = one.usage or {**self.server.script.usage(body), "output_tokens": one.output_tokens}
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": list(one.content),
            "stop_reason": one.stop,
            "stop_sequence": None,
            "usage": dict(usage),
        }

    def _send(self, status: int, content: str, one: Scripted = USUAL) -> None:
        data = content.encode()
        usual = {
            "content-type": "application/json",
            "content-length": str(len(data)),
            "retry-after-ms": "1",
        }
        self.send_response(status)
        for name, value in (usual | dict(one.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        for piece in [data[i : i + 1] for i in range(len(data))] if one.drip_s else [data[: one.cut]]:
            self.wfile.write(piece)
            time.sleep(one.drip_s)
        if one.cut is not None:
            self.close_connection = True
            self.connection.close()


def _error(kind: str, message: str) -> str:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}})
