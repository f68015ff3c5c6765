"""A web server that takes the messages which Apprise sends to a `json://` address."""

import contextlib
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from local_server import served


class Webhook(ThreadingHTTPServer):
    """`messages`: what was sent so far. `status` is what it answers, after `hang` seconds."""

    daemon_threads = True
    SECRET = "s3cr3t"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.messages: list[dict] = []
        self.status, self.hang = 200, 0.0

    @property
    def address(self) -> str:
        """With a user, a password and a path that no log may show."""
        return f"json://ann:{self.SECRET}@127.0.0.1:{self.server_address[1]}/hooks/{self.SECRET}"


class Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.server.hang)
        with contextlib.suppress(ConnectionError):
            self.server.messages.append(json.loads(body))
            self.send_response(self.server.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *words):
        pass


def listening() -> contextlib.AbstractContextManager[Webhook]:
    return served(Webhook())
