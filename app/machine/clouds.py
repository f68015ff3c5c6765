"""How AWS, Azure and GCE tell a machine of theirs that they will take, stop or move it."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Literal

from app.machine.metadata_service import TIMEOUT_SECONDS, MetadataError, MetadataService

Kind = Literal["end", "maintenance", "advice"]


@dataclass(frozen=True)
class Event:
    """What a cloud says it will do. `starts`: Unix seconds, None where it is not said.

    Kinds: the end of the machine within seconds or minutes; maintenance that begins at `starts`, which may be weeks
    away; advice, which the machine outlives.
    """

    cloud: str
    kind: Kind
    what: str
    starts: float | None = None


class Cloud(ABC):
    """One cloud's protocol, spoken with a metadata service."""

    name: ClassVar[str]
    variable: ClassVar[str]
    """The environment variable by which the cloud's own libraries take another address of the service."""
    every: ClassVar[float] = 1.0
    """Seconds between looks: Azure and GCE give 30 s."""

    def __init__(self, service: MetadataService):
        self._service = service

    @abstractmethod
    def is_here(self, timeout: float) -> bool:
        """Whether the service is this cloud's, by one request. Raises MetadataError if nothing answers like it."""

    @abstractmethod
    def events(self) -> Iterator[Event]:
        """What it tells now, the end first. Raises MetadataError where it does not answer, or not as documented."""


class Aws(Cloud):
    """Instance metadata, version 2: every question needs a token, which has to be fetched by a PUT."""

    name = "AWS"
    variable = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
    every = 5.0  # As AWS recommends; the notice is two minutes.
    ACTIONS = ("terminate", "stop", "hibernate")
    TOKEN_SECONDS = 21600

    def __init__(self, service: MetadataService):
        super().__init__(service)
        self._token = ""

    def is_here(self, timeout: float) -> bool:
        return bool(self._fetch_token(timeout))

    def events(self) -> Iterator[Event]:
        if action := self._read("spot/instance-action"):
            said = _object(action)
            if said.get("action") not in self.ACTIONS:
                raise MetadataError(f"answers with {action[:40]!r}")
            yield Event(self.name, "end", f"takes this machine ({said['action']})", _moment(said.get("time")))
        for one in _list(self._read("events/maintenance/scheduled") or "[]"):
            if one.get("State", "active") == "active":
                what = f"maintenance of this machine ({_word(one.get('Code'))})"
                yield Event(self.name, "maintenance", what, _moment(one.get("NotBefore")))
        if self._read("events/recommendations/rebalance"):
            yield Event(self.name, "advice", "sees an elevated risk that it takes this machine")

    def _fetch_token(self, timeout: float = TIMEOUT_SECONDS) -> str:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(self.TOKEN_SECONDS)}
        answer = self._service.ask("/latest/api/token", method="PUT", headers=headers, timeout=timeout)
        if answer.status != 200 or not re.fullmatch(r"[\x21-\x7e]+", answer.text):
            raise MetadataError(f"gives no token (status {answer.status})", answer.status)
        self._token = answer.text
        return answer.text

    def _read(self, path: str) -> str:
        """What is at `path`; empty where nothing is."""
        try:
            return self._read_by(self._token or self._fetch_token(), path)
        except MetadataError as error:
            if error.status != 401:
                raise
        return self._read_by(self._fetch_token(), path)  # The one before was too old, or another instance's.

    def _read_by(self, token: str, path: str) -> str:
        answer = self._service.read(f"/latest/meta-data/{path}", headers={"X-aws-ec2-metadata-token": token})
        return answer.text if answer else ""


class Azure(Cloud):
    """Scheduled Events. One that is acknowledged begins at once, so none is."""

    name = "Azure"
    variable = "AZURE_POD_IDENTITY_AUTHORITY_HOST"
    HEADERS: ClassVar[Mapping[str, str]] = {"Metadata": "true"}
    FIRST_SECONDS = 130.0
    """The first question of a machine turns the service on, which takes up to two minutes."""
    KINDS: ClassVar[Mapping[str, Kind]] = {
        "Preempt": "end",
        "Terminate": "end",
        "Reboot": "maintenance",
        "Redeploy": "maintenance",
    }
    WORDS: ClassVar[Mapping[str, str]] = {"Preempt": "takes this machine", "Terminate": "deletes this machine"}

    def __init__(self, service: MetadataService):
        super().__init__(service)
        self._timeout, self._vm = self.FIRST_SECONDS, ""

    def is_here(self, timeout: float) -> bool:
        return bool(self._find_name(timeout))

    def events(self) -> Iterator[Event]:
        vm = self._vm or self._find_name()
        path = "/metadata/scheduledevents?api-version=2020-07-01"
        answer = self._service.read(path, headers=self.HEADERS, timeout=self._timeout)
        if answer is None:
            raise MetadataError("has no Scheduled Events", 404)
        self._timeout = TIMEOUT_SECONDS
        events = _object(answer.text).get("Events")
        yield from self._parse(events if isinstance(events, list) else [], vm)

    def _parse(self, events: list[Any], vm: str) -> Iterator[Event]:
        for one in events:
            resources = one.get("Resources") if isinstance(one, dict) else None
            if not isinstance(resources, list) or vm.lower() not in (str(name).lower() for name in resources):
                continue  # Of another machine of the same set.
            name = _word(one.get("EventType"))
            kind = self.KINDS.get(name, "advice")
            if kind == "maintenance" and one.get("EventStatus") == "Started":
                kind = "advice"  # It has no NotBefore any more, and may be what this machine has just come back from.
            what = self.WORDS.get(name, f"maintenance of this machine ({name})")
            yield Event(self.name, kind, what, _moment(one.get("NotBefore")))

    def _find_name(self, timeout: float = TIMEOUT_SECONDS) -> str:
        path = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"
        answer = self._service.read(path, headers=self.HEADERS, timeout=timeout)
        if answer is None or not answer.text or "\n" in answer.text:
            raise MetadataError("does not tell this VM's name")
        self._vm = answer.text
        return self._vm


class Gce(Cloud):
    """Two values of the metadata server. A machine with GPUs can't be moved: maintenance ends it."""

    name = "GCE"
    variable = "GCE_METADATA_HOST"
    HEADERS: ClassVar[Mapping[str, str]] = {"Metadata-Flavor": "Google"}

    def is_here(self, timeout: float) -> bool:
        return bool(self._read("preempted", timeout))

    def events(self) -> Iterator[Event]:
        if self._expect("preempted", r"TRUE|FALSE") == "TRUE":
            yield Event(self.name, "end", "takes this machine")
        event = self._expect("maintenance-event", r"[A-Z_]+")
        if event == "TERMINATE_ON_HOST_MAINTENANCE":
            yield Event(self.name, "end", "stops this machine for maintenance")
        elif event != "NONE":
            yield Event(self.name, "advice", f"maintenance of this machine ({event.lower()})")

    def _expect(self, key: str, pattern: str) -> str:
        text = self._read(key)
        if not re.fullmatch(pattern, text):
            raise MetadataError(f"answers {key} with {text[:40]!r}")
        return text

    def _read(self, key: str, timeout: float = TIMEOUT_SECONDS) -> str:
        path = f"/computeMetadata/v1/instance/{key}"
        answer = self._service.read(path, headers=self.HEADERS, timeout=timeout)
        if answer is None or answer.headers.get("metadata-flavor") != "Google":
            raise MetadataError("is not Google's")
        return answer.text


CLOUDS: Mapping[str, type[Cloud]] = {"aws": Aws, "azure": Azure, "gce": Gce}


def _object(text: str) -> dict[str, Any]:
    found = _json(text)
    if not isinstance(found, dict):
        raise MetadataError(f"answers with {text[:40]!r}")
    return found


def _list(text: str) -> list[dict[str, Any]]:
    found = _json(text)
    if not isinstance(found, list):
        raise MetadataError(f"answers with {text[:40]!r}")
    return [one for one in found if isinstance(one, dict)]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise MetadataError(f"answers with {text[:40]!r}") from None


def _word(value: Any) -> str:
    """A short text of the service as it may stand in a line."""
    return re.sub(r"[^\w.-]+", " ", value)[:40].strip() if isinstance(value, str) else ""


def _moment(value: Any) -> float | None:
    """Unix seconds of `2026-01-02T03:04:05Z` (AWS, spot) or `Fri, 2 Jan 2026 03:04:05 GMT`, also without the day."""
    if not isinstance(value, str):
        return None
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = parse(value)
            return found.timestamp() if found.tzinfo else None
        except (TypeError, ValueError, OverflowError, IndexError):
            continue
    return None
