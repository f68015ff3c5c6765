"""A web server on the loopback that serves, breaks and lies as a test wants."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from archives import FILES, NAME

from app.pipeline.zoo import catalogue


@dataclass
class Web:
    """What the server does. `cuts`: bytes after which a connection ends, one a request. `statuses`: answers to
    give before any file, one a request."""

    files: dict[str, bytes] = field(default_factory=dict)
    etag: str = '"1"'
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range of each request."""
    location: str = ""
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        web: Web = self.server.web
        asked = self.headers.get("Range", "")
        web.requests.append((self.path, asked))
        body = web.files.get(self.path)
        status = web.statuses.pop(0) if web.statuses else 200 if body is not None else 404
        if status != 200:
            self.send_response(status)
            if web.location:
                self.send_header("Location", web.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = 0
        if asked and web.ranges and self.headers.get("If-Range") == web.etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if web.etag:
            self.send_header("ETag", web.etag)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : start + web.cuts.pop(0)] if web.cuts else body[start:])

    def log_message(self, *arguments):
        pass


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """The loopback is asked directly, whatever proxy this machine has."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture
def web() -> Iterator[Web]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.web = Web(url=f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.web
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def model() -> catalogue.Model:
    return catalogue.get(NAME)


@pytest.fixture
def unpacked(tmp_path) -> Callable[[Path], Path]:
    """Writes a model's files into a folder, as a mirror may hold them."""

    def write(folder: Path) -> Path:
        for path, data in FILES.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return folder

    return write
