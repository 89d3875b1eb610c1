"""A loopback server that answers what wandb's SDK asks of W&B, and remembers what it was told."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml


class WandbServer(ThreadingHTTPServer):
    """What has arrived, by run id: the last announcement, the lines of history, the summary, the exit code;
    and the states that the sweep was given, in order.

    working: while False every request is answered with an error. delay_s: before each answer.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.working = True
        self.delay_s = 0.0
        self.sweeps: list[dict[str, Any]] = []
        self.states: list[str] = []
        self.sweep_state = "RUNNING"
        self.runs: dict[str, dict[str, Any]] = {}
        self.announced: dict[str, int] = defaultdict(int)
        self.history: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
        self.summary: dict[str, dict[str, Any]] = {}
        self.exit_codes: dict[str, int] = {}
        self.artifacts: list[str] = []
        self.keys: set[str] = set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that was ended in mid-sentence is what some tests are about."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def graphql(self, query: str, told: dict[str, Any]) -> dict[str, Any]:
        name = told.get("projectName") or told.get("project")
        project = {"id": "P", "name": name, "entity": {"id": "E", "name": "me"}}
        if "query SweepWithRuns" in query:
            state = (self.states or ["PENDING"])[-1]
            sweep = {"id": "S1", "name": told["sweep"], "state": state, "runs": {"edges": []}}
            return {"project": {"sweep": sweep}}
        if "upsertSweep" in query and "config" not in told:
            self.states.append(told["state"])
            return {"upsertSweep": {"sweep": {"name": "sweep1"}}}
        if "upsertSweep" in query:
            self.sweeps.append(yaml.safe_load(told["config"]))
            sweep = {"name": f"sweep{len(self.sweeps)}", "project": project}
            return {"upsertSweep": {"sweep": sweep, "configValidationWarnings": []}}
        if "upsertBucket" in query:
            return {"upsertBucket": {"bucket": self._run(told, project), "inserted": True}}
        if "createRunFiles" in query:
            files = [{"name": name, "uploadUrl": f"{self.url}/upload"} for name in told["files"]]
            return {"createRunFiles": {"runID": told["run"], "uploadHeaders": [], "files": files}}
        if "createArtifact(input" in query:
            self.artifacts.append(told["input"]["artifactCollectionName"])
            sequence = {"id": "S", "latestArtifact": None}
            return {
                "createArtifact": {
                    "artifact": {"id": "A", "state": "COMMITTED", "artifactSequence": sequence}
                }
            }
        if "sweep(sweepName" in query:
            sweep = {"id": "W", "name": told["name"], "state": self.sweep_state, "config": "{}"}
            return {"project": project | {"sweep": sweep}}
        if "viewer" in query:
            viewer = {"id": "V", "entity": "me", "username": "me", "email": "", "flags": "{}"}
            return {"viewer": viewer | {"teams": {"edges": []}}}
        return {"project": None, "serverInfo": None}

    def _run(self, told: dict[str, Any], project: dict[str, Any]) -> dict[str, Any]:
        name = told["name"]
        self.announced[name] += 1
        self.runs[name] = self.runs.get(name, {}) | {
            key: value for key, value in told.items() if value is not None
        }
        return {
            "id": f"B{name}",
            "name": name,
            "displayName": told["displayName"],
            "description": "",
            "config": "{}",
            "sweepName": told["sweep"],
            "historyLineCount": 0,
            "project": project,
        }

    def stream(self, run: str, told: dict[str, Any]) -> None:
        files = told.get("files") or {}
        if history := files.get("wandb-history.jsonl"):
            for number, line in enumerate(history["content"], start=history["offset"]):
                self.history[run][number] = json.loads(line)
        if summary := files.get("wandb-summary.json"):
            self.summary[run] = json.loads(summary["content"][-1])
        if told.get("complete"):
            self.exit_codes[run] = told["exitcode"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a body waits 40 ms for its headers to be acknowledged
    server: WandbServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(self.server.delay_s)
        if not self.server.working:
            return self._answer(503, {})
        with self.server.lock:
            self._answer(200, self._take(body))

    do_PUT = do_POST  # noqa: N815  # http.server's name

    def do_GET(self) -> None:
        self._answer(404, {})

    def _take(self, body: bytes) -> dict[str, Any]:
        if self.path == "/graphql":
            asked = json.loads(body)
            self.server.keys.add(self.headers.get("Authorization", ""))
            return {"data": self.server.graphql(asked["query"], asked.get("variables") or {})}
        if self.path.endswith("/file_stream"):
            self.server.stream(self.path.split("/")[-2], json.loads(body))
        return {}

    def _answer(self, code: int, content: dict[str, Any]) -> None:
        answer = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def wandb_server() -> Iterator[WandbServer]:
    """A server that works, until the end of the block."""
    server = WandbServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
