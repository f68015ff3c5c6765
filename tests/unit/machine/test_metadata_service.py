"""Requests to a metadata service: bounded, direct, and with an error of one kind whatever it answers."""

import http.server
import threading
import time

import metadata_servers
import pytest

from app.machine.metadata_service import MetadataError, MetadataService


@pytest.fixture
def server():
    """A service of Google's kind."""
    with metadata_servers.gce() as server:
        yield server


def ask(server, **options):
    headers = {"Metadata-Flavor": "Google"}
    return MetadataService(server.address).read("/computeMetadata/v1/instance/preempted", headers=headers, **options)


def test_an_answer(server):
    """Its text and headers; None for what is not there."""
    found = ask(server)
    assert (found.status, found.text, found.headers["metadata-flavor"]) == (200, "FALSE", "Google")
    del server.values["preempted"]
    assert ask(server) is None


def test_proxies_are_not_asked(server, monkeypatch):
    """A company's proxy would answer for its own machine, if at all."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert ask(server).text == "FALSE"


def test_a_redirect_is_not_followed(server):
    """A portal of a hotel or company sends everybody to its own page."""
    with metadata_servers.gce() as other:
        other.values["preempted"] = "TRUE"
        server.to = f"http://{other.address}/computeMetadata/v1/instance/preempted"
        with pytest.raises(MetadataError) as caught:
            ask(server)
        assert (caught.value.status, other.asked) == (302, [])


def test_silence_ends_in_time(server):
    """So does an answer that trickles in."""
    server.hang = 5
    started = time.monotonic()
    with pytest.raises(MetadataError) as caught:
        ask(server, timeout=0.3)
    assert caught.value.status == 0
    assert time.monotonic() - started < 3


def test_an_endless_answer_is_cut():
    """By bytes and by time."""

    class Endless(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(b"x" * (1 if "slow" in self.path else 65536))
                time.sleep(0.05 if "slow" in self.path else 0)

        def log_message(self, *words):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *words):
            pass

    server = Server(("127.0.0.1", 0), Endless)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        service = MetadataService(f"127.0.0.1:{server.server_port}")
        for path in ("/fast", "/slow"):
            started = time.monotonic()
            with pytest.raises(MetadataError, match="too long"):
                service.read(path, timeout=0.5)
            assert time.monotonic() - started < 5
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [400, 403, 500, 503])
def test_another_status_is_an_error(server, status):
    """The status is kept: who asks may know what to do."""
    server.status = status
    with pytest.raises(MetadataError) as caught:
        ask(server)
    assert caught.value.status == status


def test_nobody_there():
    """A closed port."""
    with metadata_servers.gce() as server:
        pass
    with pytest.raises(MetadataError):
        ask(server)


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "https://a", "http://a/b", "http://user@a", "a b", "", "a:99999", "a:0", "[x]"]
)
def test_what_is_no_address(address):
    """Only a host, with or without a port, or that as an http URL."""
    with pytest.raises(ValueError, match="address"):
        MetadataService(address)


@pytest.mark.parametrize("address", ["169.254.169.254", "http://[fd00:ec2::254]", "metadata.google.internal:80"])
def test_addresses(address):
    """Those that the clouds document."""
    MetadataService(address)
