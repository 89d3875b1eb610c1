"""A small model hub for loopback tests: which commit a branch means, and the files of each commit."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Hub:
    """What the server holds. commits: of each repository's main. files: of a commit, by their names."""

    commits: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, code: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, value: object) -> None:
        self._answer(200, json.dumps(value).encode(), Content_Type="application/json")

    def _missing(self, code: str) -> None:
        self._answer(404, b"{}", Content_Type="application/json", X_Error_Code=code)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._get()

    def do_GET(self) -> None:
        self._get()

    def _get(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.asked.append(f"{self.command} {path}")
        parts = path.split("/")
        if parts[0] == "api":
            self._api("/".join(parts[2:4]), parts[4:])
        else:
            parts = parts[parts[0] == "datasets" :]
            self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))

    def _api(self, name: str, rest: list[str]) -> None:
        if name not in self.hub.commits:
            return self._missing("RepoNotFound")
        commit = self._commit(name, rest[1] if len(rest) > 1 else "main")
        files = self.hub.files.get(commit, {})
        if rest[:1] in (["tree"], ["paths-info"]):
            entries = [
                {"type": "file", "path": file, "size": len(files[file]), "oid": commit} for file in files
            ]
            return self._json(entries)
        return self._json({"id": name, "sha": commit, "siblings": [{"rfilename": file} for file in files]})

    def _file(self, name: str, revision: str, file: str) -> None:
        commit = self._commit(name, revision)
        if file not in self.hub.files.get(commit, {}):
            return self._missing("EntryNotFound")
        headers = {"ETag": f'"{commit}{file}"', "X-Repo-Commit": commit}
        return self._answer(200, self.hub.files[commit][file], **headers)

    def _commit(self, name: str, revision: str) -> str:
        return self.hub.commits.get(name, "") if revision == "main" else revision


@contextmanager
def hub_server() -> Iterator[tuple[str, Hub]]:
    """Serve a hub; its endpoint and what it holds."""
    hub = Hub()
    handler = type("Bound", (Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", hub
        server.shutdown()
