"""Metadata services of AWS, Azure and GCE on a local port, as their documentation describes them."""

import contextlib
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from local_server import served

DATE = "%a, %d %b %Y %H:%M:%S GMT"


class MetadataServer(ThreadingHTTPServer):
    """One cloud's service; a test sets what it tells. `asked`: the paths so far, with their methods."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]):
        super().__init__(("127.0.0.1", 0), handler)
        self.asked: list[str] = []
        self.status, self.junk, self.hang, self.to = 0, None, 0.0, ""
        """To be wrong with: a status, a body in place of its own, seconds of silence, a place to redirect to."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """What all three have in common."""

    server: MetadataServer

    def log_message(self, *words):
        pass

    def say(self, status: int, text: str = "", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(text.encode())), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(text.encode())

    def answer(self) -> None:
        server = self.server
        server.asked.append(f"{self.command} {self.path}")
        time.sleep(server.hang)
        with contextlib.suppress(ConnectionError):  # Who asked has gone.
            if server.to:
                self.say(302, Location=server.to)
            elif server.status:
                self.say(server.status, "<html>sorry</html>")
            else:
                self.tell()

    do_GET = do_PUT = do_POST = answer

    def tell(self) -> None:
        raise NotImplementedError


class AwsHandler(Handler):
    """IMDSv2 alone: `server.tokens` are those that are valid, `server.items` what is under meta-data."""

    def tell(self) -> None:
        server = self.server
        if self.path == "/latest/api/token":
            seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
            if self.command != "PUT" or not (seconds.isdigit() and 1 <= int(seconds) <= 21600):
                return self.say(400 if self.command == "PUT" else 405)
            server.tokens.append(f"token{len(server.asked)}==")
            return self.say(200, server.tokens[-1])
        if self.headers.get("X-aws-ec2-metadata-token") not in server.tokens:
            return self.say(401)
        item = server.items.get(self.path.removeprefix("/latest/meta-data/"))
        if item is None:
            return self.say(404, "<html>not found</html>")
        return self.say(200, server.junk if server.junk is not None else item)


class AzureHandler(Handler):
    """Scheduled Events: `server.events` are told, and never may one be acknowledged."""

    def tell(self) -> None:
        server, url = self.server, urlsplit(self.path)
        version = parse_qs(url.query).get("api-version")
        if self.headers.get("Metadata") != "true" or not version or self.headers.get("X-Forwarded-For"):
            return self.say(400, '{"error": "Bad request"}')
        if url.path == "/metadata/instance/compute/name" and "text" in parse_qs(url.query).get("format", ()):
            return self.say(200, server.vm)
        if url.path == "/metadata/scheduledevents" and self.command == "GET":
            told = json.dumps({"DocumentIncarnation": 1, "Events": server.events})
            return self.say(200, server.junk if server.junk is not None else told)
        return self.say(404)


class GceHandler(Handler):
    """The metadata server: `server.values` of /instance."""

    def tell(self) -> None:
        server = self.server
        if self.headers.get("Metadata-Flavor") != "Google":
            return self.say(403)
        value = server.values.get(urlsplit(self.path).path.removeprefix("/computeMetadata/v1/instance/"))
        if value is None:
            return self.say(404, Metadata_Flavor="Google")
        return self.say(200, server.junk if server.junk is not None else value, Metadata_Flavor="Google")


def aws() -> contextlib.AbstractContextManager[MetadataServer]:
    server = MetadataServer(AwsHandler)
    server.tokens, server.items = [], {"events/maintenance/scheduled": "[]"}
    return served(server)


def azure() -> contextlib.AbstractContextManager[MetadataServer]:
    server = MetadataServer(AzureHandler)
    server.vm, server.events = "gpu-vm_3", []
    return served(server)


def gce() -> contextlib.AbstractContextManager[MetadataServer]:
    server = MetadataServer(GceHandler)
    server.values = {"preempted": "FALSE", "maintenance-event": "NONE"}
    return served(server)


def spot_action(seconds: float, action: str = "terminate") -> str:
    """What `spot/instance-action` holds when the instance is taken in `seconds`."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    return json.dumps({"action": action, "time": moment})


def scheduled(seconds: float, code: str = "system-reboot", state: str = "active") -> str:
    """What `events/maintenance/scheduled` holds of one event in `seconds`."""
    moment = time.strftime("%d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + seconds)).lstrip("0")
    return json.dumps([{"NotBefore": moment, "Code": code, "EventId": "instance-event-0", "State": state}])


def azure_event(kind: str, seconds: float, *vms: str, status: str = "Scheduled") -> dict:
    """One scheduled event that begins in `seconds`, of these machines."""
    moment = time.strftime(DATE, time.gmtime(time.time() + seconds)) if status == "Scheduled" else ""
    return {
        "EventId": "A123", "EventType": kind, "ResourceType": "VirtualMachine", "Resources": list(vms),
        "EventStatus": status, "NotBefore": moment, "EventSource": "Platform", "DurationInSeconds": -1,
    }  # fmt: skip
