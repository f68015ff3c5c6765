"""Places to copy a run to: a folder, an object store on this machine, and a server that only answers."""

import http.server
import logging
import threading
import time

import boto3
import pytest
from moto.server import ThreadedMotoServer

BUCKET = "bucket"


@pytest.fixture(scope="session")
def object_store():
    """A server of S3's protocol; its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def credentials(monkeypatch, object_store):
    """The environment of one who may write there."""
    for name, value in (
        ("AWS_ENDPOINT_URL", object_store), ("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "very-secret"),
        ("AWS_REGION", "us-east-1"), ("AWS_EC2_METADATA_DISABLED", "true"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(object_store, credentials):
    """A client of the object store, with an empty bucket."""
    client = boto3.client("s3", endpoint_url=object_store)
    client.create_bucket(Bucket=BUCKET)
    yield client
    found = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    for one in found:
        client.delete_object(Bucket=BUCKET, Key=one["Key"])


class Folder:
    """Objects of a copy that is a folder."""

    def __init__(self, root):
        self.root = root
        self.url = str(root)

    def names(self):
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())

    def read(self, name):
        return (self.root / name).read_bytes()

    def write(self, name, data):
        (self.root / name).write_bytes(data)

    def delete(self, name):
        (self.root / name).unlink()


class Bucket:
    """The same of one in an object store."""

    url = f"s3://{BUCKET}/models"

    def __init__(self, client):
        self.client = client

    def names(self):
        found = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return sorted(one["Key"].removeprefix("models/") for one in found)

    def read(self, name):
        return self.client.get_object(Bucket=BUCKET, Key=f"models/{name}")["Body"].read()

    def write(self, name, data):
        self.client.put_object(Bucket=BUCKET, Key=f"models/{name}", Body=data)

    def delete(self, name):
        self.client.delete_object(Bucket=BUCKET, Key=f"models/{name}")


@pytest.fixture(params=["folder", "s3"])
def place(request, tmp_path):
    """Where a run is copied to, as both kinds."""
    if request.param == "folder":
        return Folder(tmp_path / "copies")
    return Bucket(request.getfixturevalue("bucket"))


class Stub:
    """A server that answers everything with `status` after `seconds`, and keeps what it was asked."""

    def __init__(self):
        self.status, self.seconds, self.requests = 200, 0.0, []
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                stub.requests.append((self.command, self.path, {key.lower(): v for key, v in self.headers.items()}))
                time.sleep(stub.seconds)
                self.send_response(stub.status)
                for name, value in (("ETag", '"1"'), ("x-goog-generation", "5"), ("Content-Length", "0")):
                    self.send_header(name, value)
                self.end_headers()

            do_GET = do_PUT = do_DELETE = do_POST = do_HEAD = answer

            def log_message(self, *arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def stub(credentials, monkeypatch):
    """One, which is every cloud's endpoint."""
    server = Stub()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", server.url)
    yield server
    server.close()
