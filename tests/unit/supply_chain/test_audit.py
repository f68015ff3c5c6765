"""scripts/audit against a server that speaks OSV's protocol, https://google.github.io/osv.dev/post-v1-query."""

import json
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("pip_audit")
AUDIT = Path(__file__).parents[3] / "scripts" / "audit"
HASH = f"--hash=sha256:{'0' * 64}"
ADVISORY = {
    "id": "PYSEC-2099-1",
    "aliases": ["CVE-2099-1"],
    "summary": "Reads what it should not.",
    "affected": [
        {
            "package": {"name": "pillow", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
        }
    ],
}


class Osv(ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str]] = []
        self.broken = False


class Handler(BaseHTTPRequestHandler):
    server: Osv

    def log_message(self, *_):
        """Keeps the tests' output clean."""

    def do_POST(self):
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/query" and query["package"]["ecosystem"] == "PyPI"
        self.server.asked.append((query["package"]["name"], query["version"]))
        content = json.dumps({"vulns": [ADVISORY]} if query["package"]["name"] == "pillow" else {}).encode()
        self.send_response(503 if self.server.broken else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def osv():
    server = Osv()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def audit(osv, tmp_path):
    """Runs the script on `lines` of requirements, with `answers` in TOML."""

    def run(*lines: str, answers: str = ""):
        requirements, answered = tmp_path / "requirements.txt", tmp_path / "answers.toml"
        requirements.write_text("".join(f"{line} {HASH}\n" for line in lines))
        answered.write_text(answers)
        flags = [f"--osv-url=http://127.0.0.1:{osv.server_port}/v1/query", f"--answers={answered}"]
        command = [sys.executable, AUDIT, *flags, f"--requirements={requirements}"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    return run


def test_every_package_is_asked_about(audit, osv):
    """By name and version; nothing found is success."""
    done = audit("six==1.17.0", "numpy==2.3.0")
    assert done.returncode == 0, done.stderr
    assert sorted(osv.asked) == [("numpy", "2.3.0"), ("six", "1.17.0")]
    assert done.stdout == "2 packages, 0 answered, 0 not answered, 0 answers to nothing\n"


def test_a_finding_fails_until_it_is_answered(audit):
    """It is named with its aliases and the version that has the fix; an answer by an alias will do."""
    done = audit("pillow==12.0.0")
    assert done.returncode == 1
    assert "pillow 12.0.0: PYSEC-2099-1 CVE-2099-1 (fixed in 99.1): NOT ANSWERED" in done.stdout
    done = audit("pillow==12.0.0", answers='CVE-2099-1 = "No such image is read."')
    assert done.returncode == 0, done.stdout
    assert "No such image is read." in done.stdout


def test_an_answer_to_nothing_fails(audit):
    """What was fixed since is taken out of the list."""
    done = audit("six==1.17.0", answers='PYSEC-2098-7 = "Not reached."')
    assert done.returncode == 1 and "PYSEC-2098-7: no package of the lock has it any more" in done.stdout


def test_a_service_that_does_not_answer_is_no_clean_bill(audit, osv):
    """Exit code 2, and the service is named."""
    osv.broken = True
    done = audit("six==1.17.0")
    assert done.returncode == 2 and "could not be asked" in done.stderr and not done.stdout


def test_the_lock_is_asked_about_where_the_service_can_be_reached():
    """Every finding in the real lock is fixed or answered."""
    try:
        socket.create_connection(("api.osv.dev", 443), timeout=10).close()
    except OSError as error:
        pytest.skip(f"api.osv.dev can't be reached from here, so the lock is not audited: {error}")
    done = subprocess.run([sys.executable, AUDIT], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
