"""A small S3 server for loopback tests: objects, conditional writes, ranges, listings, multipart uploads.

It checks no signatures.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape


class Store:
    """What the server holds: objects by "bucket/key".

    down: it answers every request with an error. lax: it ignores conditions, as old servers do. before_put:
    called with the key before an object is written, so that another write can come between. puts, signed: the
    keys of the writes so far, and their signatures.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.down = self.lax = False
        self.lock = threading.Lock()
        self.signed: list[str] = []
        self.before_put: Callable[[str], None] = lambda key: None
        self.puts: list[str] = []


def etag(content: bytes) -> str:
    """As S3 makes it of an object that was written at once."""
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _about(content: bytes) -> dict[str, str]:
    return {"ETag": etag(content), "Last_Modified": "Mon, 23 Nov 2026 20:00:00 GMT"}


class Handler(BaseHTTPRequestHandler):
    store: Store
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a body waits 40 ms for its headers to be acknowledged

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, code: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", headers.pop("length", str(len(body))))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _xml(self, text: str) -> None:
        self._answer(200, f'<?xml version="1.0"?>{text}'.encode(), Content_Type="application/xml")

    def _missing(self) -> None:
        self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>", Content_Type="application/xml")

    def _asked(self) -> tuple[str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        return unquote(parts.path).strip("/"), parse_qs(parts.query, keep_blank_values=True)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            plain, rest = b"", body
            while size := int((line := rest.split(b"\r\n", 1))[0].split(b";")[0], 16):
                plain += line[1][:size]
                rest = line[1][size + 2 :]
            body = plain
        return body

    def _refused(self) -> bool:
        if self.store.down:
            self._body()
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>", Content_Type="application/xml")
        return self.store.down

    def do_HEAD(self) -> None:
        if self._refused():
            return
        key, _ = self._asked()
        if "/" not in key or key in self.store.objects:
            content = self.store.objects.get(key, b"")
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self._describe(content)
            self.end_headers()
        else:
            self._answer(404)

    def do_GET(self) -> None:
        if self._refused():
            return
        key, query = self._asked()
        if "/" not in key:
            self._list(key, query)
        elif key not in self.store.objects:
            self._missing()
        else:
            content = self.store.objects[key]
            span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if span:
                first, last = int(span[1]), int(span[2] or len(content) - 1)
                last = min(last, len(content) - 1)
                span_given = f"bytes {first}-{last}/{len(content)}"
                self._answer(206, content[first : last + 1], Content_Range=span_given, **_about(content))
            else:
                self._answer(200, content, **_about(content))

    def _describe(self, content: bytes) -> None:
        for name, value in _about(content).items():
            self.send_header(name.replace("_", "-"), value)

    def _holds(self, key: str) -> bool:
        """Whether the request's conditions hold for the object as it is now."""
        content = self.store.objects.get(key)
        wanted, unwanted = self.headers.get("If-Match"), self.headers.get("If-None-Match")
        if wanted is not None and (content is None or wanted != etag(content)):
            return False
        return unwanted != "*" or content is None

    def _list(self, bucket: str, query: dict[str, list[str]]) -> None:
        prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
        names, folders = [], set()
        for full in sorted(self.store.objects):
            holder, _, key = full.partition("/")
            if holder != bucket or not key.startswith(prefix):
                continue
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.split(delimiter)[0] + delimiter)
            else:
                names.append((key, len(self.store.objects[full])))
        limit = int(query.get("max-keys", ["1000"])[0])
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size><ETag>0</ETag>"
            "<LastModified>2026-11-23T20:00:00.000Z</LastModified></Contents>"
            for key, size in names[:limit]
        )
        common = "".join(
            f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in sorted(folders)
        )
        count = len(names[:limit]) + len(folders)
        self._xml(
            f"<ListBucketResult><Name>{bucket}</Name><KeyCount>{count}</KeyCount>"
            f"<IsTruncated>false</IsTruncated>{contents}{common}</ListBucketResult>"
        )

    def do_PUT(self) -> None:
        if self._refused():
            return
        key, query = self._asked()
        body = self._body()
        if "uploadId" in query:
            self.store.parts[query["uploadId"][0]][int(query["partNumber"][0])] = body
        else:
            self.store.before_put(key)
            self.store.signed.append(self.headers.get("Authorization", ""))
            with self.store.lock:
                if not self.store.lax and not self._holds(key):
                    self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
                    return
                self.store.objects[key] = body
                self.store.puts.append(key)
        self._answer(200, ETag=etag(body))

    def do_POST(self) -> None:
        if self._refused():
            return
        key, query = self._asked()
        body = self._body()
        if "delete" in query:
            keys = [unescape(name) for name in re.findall("<Key>(.*?)</Key>", body.decode())]
            for name in keys:
                self.store.objects.pop(f"{key}/{name}", None)
            deleted = "".join(f"<Deleted><Key>{escape(name)}</Key></Deleted>" for name in keys)
            self._xml(f"<DeleteResult>{deleted}</DeleteResult>")
        elif "uploads" in query:
            identity = str(len(self.store.parts) + 1)
            self.store.parts[identity] = {}
            self._xml(
                "<InitiateMultipartUploadResult>"
                f"<UploadId>{identity}</UploadId></InitiateMultipartUploadResult>"
            )
        elif "uploadId" in query:
            parts = self.store.parts.pop(query["uploadId"][0])
            self.store.objects[key] = b"".join(parts[number] for number in sorted(parts))
            self.store.puts.append(key)
            self._xml("<CompleteMultipartUploadResult><ETag>0</ETag></CompleteMultipartUploadResult>")
        else:
            self._answer(200)

    def do_DELETE(self) -> None:
        if self._refused():
            return
        key, _ = self._asked()
        self.store.objects.pop(key, None)
        self._answer(204)


@contextmanager
def s3_server() -> Iterator[tuple[str, Store]]:
    """A server on a free port: its URL and what it holds."""
    store = Store()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"store": store}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
