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
from typing import Any, NamedTuple

CHARS_A_TOKEN = 4  # what an English text roughly has
SHORT_S, HOUR_S = 300.0, 3600.0  # that a cache mark keeps a prefix
LOOKBACK = 20  # blocks before a mark that are looked up
Body = dict[str, Any]


@dataclass(kw_only=True)
class Scripted:
    """One answer: blocks and a stop reason, or an HTTP failure, or silence.

    status: 200, or an error's with `error` as its body. raw: sent in place of a message. silent_s: seconds
    before anything is sent. drop: close the connection without an answer. headers: in place of the usual
    ones. model: who answers, the one that was asked if None. cut: close the connection after so many bytes of
    the body. drip_s: seconds between two bytes of it.
    """

    content: Sequence[Body] = ()
    stop: str = "end_turn"
    model: str | None = None
    stop_details: Body | None = None
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


def refusal(category: str | None = "frontier_llm", explanation: str | None = None, **more: Any) -> Scripted:
    """A classifier's refusal, before anything is written."""
    details = {"type": "refusal", "category": category, "explanation": explanation}
    return Scripted(stop="refusal", stop_details=details, output_tokens=1, **more)


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
    Input tokens are characters divided by four. A prefix that ended at a cache mark of an earlier, answered
    request, and ends at most 20 blocks before a mark of this one, counts as read from the cache; what follows
    up to the last mark as written to it. An entry lives for the seconds of its mark, by `clock`, after a use.

    batch: what becomes of a batch: its result's type, or `never` for one that does not end by itself.
    ignores_cancel: whether canceling does not end it either.
    """

    answer: Callable[[Body], Scripted]
    key: str = "sk-test"
    url: str = ""
    asked: list[Body] = field(default_factory=list)
    counted: list[Body] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    count_failure: Scripted | None = None
    clock: Callable[[], float] = time.monotonic
    batch: str = "succeeded"
    ignores_cancel: bool = False
    batches: dict[str, Body] = field(default_factory=dict)
    _cached: dict[str, "_Kept"] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def usage(self, body: Body) -> dict[str, Any]:
        """Input tokens of a request as the API would bill them, by the cache marks in it."""
        now, seen, ends = self.clock(), 0, list[tuple[str, int, float]]()
        digest = hashlib.sha256(body["model"].encode())
        for piece, seconds in _pieces(body):
            digest.update(piece.encode())
            seen += len(piece)
            ends.append((digest.hexdigest(), seen, seconds))
        marks = [place for place, (_, _, seconds) in enumerate(ends) if seconds]
        with self._lock:
            read = max(
                (self._read(ends[max(0, mark - LOOKBACK) : mark + 1], now) for mark in marks), default=0
            )
            for mark in marks:
                name, _, seconds = ends[mark]
                self._cached[name] = _Kept(now + seconds, seconds)
        written = {
            hour: sum(
                max(0, ends[mark][1] - max(read, before))
                for before, mark in zip([0, *(ends[place][1] for place in marks)], marks, strict=False)
                if (ends[mark][2] > SHORT_S) == hour
            )
            // CHARS_A_TOKEN
            for hour in (False, True)
        }
        return {
            "input_tokens": (seen - max([read, *(ends[mark][1] for mark in marks)])) // CHARS_A_TOKEN,
            "cache_creation_input_tokens": sum(written.values()),
            "cache_creation": {
                "ephemeral_5m_input_tokens": written[False],
                "ephemeral_1h_input_tokens": written[True],
            },
            "cache_read_input_tokens": read // CHARS_A_TOKEN,
        }

    def _read(self, ends: Sequence[tuple[str, int, float]], now: float) -> int:
        """Characters of the longest of these prefixes that is in the cache, which lives on by it."""
        for name, size, _ in reversed(ends):
            kept = self._cached.get(name)
            if kept is not None and kept.until > now:
                self._cached[name] = kept._replace(until=now + kept.seconds)
                return size
        return 0

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


class _Kept(NamedTuple):
    """An entry of the cache: until when it lives, and how long after each use."""

    until: float
    seconds: float


def _pieces(body: Body) -> Iterator[tuple[str, float]]:
    """The blocks of a request in the order of a prefix, and the seconds that a mark on one keeps it."""
    yield json.dumps(body.get("tools", [])), 0.0
    for block in body.get("system", []):
        yield _plain(block), _seconds(block)
    for message in body["messages"]:
        content = message["content"]
        for block in [{"text": content}] if isinstance(content, str) else content:
            yield message["role"] + _plain(block), _seconds(block)


def _seconds(block: Body) -> float:
    if "cache_control" not in block:
        return 0.0
    return HOUR_S if block["cache_control"].get("ttl") == "1h" else SHORT_S


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

    def do_GET(self) -> None:
        """The state of a batch, or its results."""
        _, _, _, _, name, *rest = [*self.path.split("/"), ""]
        batch = self.server.script.batches.get(name)
        if batch is None:
            self._send(404, _error("not_found_error", self.path))
        elif rest[0] == "results":
            self._send(200, json.dumps(batch["line"]) + "\n")
        else:
            self._send(200, json.dumps(batch["state"]))

    def do_POST(self) -> None:
        """Answer as scripted."""
        script = self.server.script
        body = json.loads(self.rfile.read(int(self.headers["content-length"] or 0)) or "{}")
        script.headers.append(dict(self.headers))
        given = self.headers.get("x-api-key") or self.headers.get("authorization", "").removeprefix("Bearer ")
        if given != script.key:
            self._send(401, _error("authentication_error", f"invalid key {given}"))
        elif self.path == "/v1/messages/count_tokens":
            script.counted.append(body)
            failure = script.count_failure
            counted = json.dumps({"input_tokens": tokens_of(body)})
            self._play(failure, body) if failure else self._send(200, counted)
        elif self.path in ("/v1/messages", "/v1/messages?beta=true"):
            script.asked.append(body)
            self._play(script.answer(body), body)
        elif self.path == "/v1/messages/batches":
            self._send(200, json.dumps(self._new_batch(body["requests"][0])["state"]))
        elif self.path.endswith("/cancel"):
            self._send(200, json.dumps(self._canceled(self.path.split("/")[4])))
        else:
            self._send(404, _error("not_found_error", self.path))

    def _new_batch(self, request: Body) -> Body:
        """A batch of one request, as `script.batch` says."""
        script, params = self.server.script, request["params"]
        result: Body = {"type": "canceled" if script.batch == "never" else script.batch}
        if script.batch == "succeeded":
            result["message"] = self._message(script.answer(params), params)
        elif script.batch == "errored":
            result["error"] = json.loads(_error("api_error", "sorry"))
        line = {"custom_id": request["custom_id"], "result": result}
        status = "in_progress" if script.batch == "never" else "ended"
        with script._lock:
            name = f"msgbatch_{len(script.batches)}"
            url = f"{script.url}/v1/messages/batches/{name}/results"
            state = {"id": name, "type": "message_batch", "processing_status": status, "results_url": url}
            script.batches[name] = {"params": params, "state": state, "line": line}
        return script.batches[name]

    def _canceled(self, name: str) -> Body:
        state: Body = self.server.script.batches[name]["state"]
        state["processing_status"] = "canceling" if self.server.script.ignores_cancel else "ended"
        return state

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
            "model": one.model or body["model"],
            "content": list(one.content),
            "stop_reason": one.stop,
            "stop_details": one.stop_details,
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
