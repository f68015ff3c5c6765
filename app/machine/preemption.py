"""Whether the cloud is about to take this machine, asked of its metadata service in a thread."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.machine.clouds import CLOUDS, Aws, Cloud, Event
from app.machine.metadata_service import ADDRESS, MetadataError, MetadataService

logger = logging.getLogger(__name__)

DMI = Path("/sys/class/dmi/id")
AZURE_TAG = "7783-7084-3265-9085-8269-3286-77"
"""The asset tag of every chassis of Azure; other machines of Hyper-V have another one."""
PROBE_SECONDS = 0.5
PATIENCE_SECONDS = 20.0
"""How long a service that does not answer is asked again without a word."""
LEAD_SECONDS = 120.0
"""How long before maintenance training ends. It is told of minutes or weeks before."""


@dataclass(frozen=True)
class Notice:
    """The cloud is about to end this machine. `ends`: Unix seconds, None if that is not said."""

    cloud: str
    what: str
    ends: float | None

    def __str__(self) -> str:
        when = f" at {time.strftime('%H:%M:%S', time.gmtime(self.ends))} UTC" if self.ends is not None else ""
        return f"{self.cloud} {self.what}{when}"

    def seconds_left(self) -> float | None:
        """Until the end; None if that is not said."""
        return None if self.ends is None else self.ends - time.time()


class PreemptionWatch:
    """Asks the metadata service, from a thread of its own, until the cloud says that it takes the machine.

    `choice`: auto, off or one of CLOUDS. `environ` may have the address of the service. A machine on none of the clouds
    is found to be so without a request where it has a DMI table, else by one to each, and is left alone then.
    """

    def __init__(self, choice: str, environ: Mapping[str, str], *, dmi: Path = DMI, patience: float = PATIENCE_SECONDS):
        self.notice: Notice | None = None
        self._choice, self._environ, self._dmi, self._patience = choice, environ, dmi, patience
        self._said: set[str] = set()

    def start(self) -> "PreemptionWatch":
        if self._choice != "off":
            threading.Thread(target=self._run, name="preemption", daemon=True).start()
        return self

    def __call__(self) -> Notice | None:
        return self.notice

    def _run(self) -> None:
        cloud = find_cloud(self._choice, self._environ, self._dmi)
        failing_since, is_told = None, None
        while cloud and not self.notice:
            try:
                self.notice = next(filter(None, map(self._judge, cloud.events())), None)
                failing_since = None
                if is_told is not True:
                    is_told = True
                    logger.info("preemption | %s is asked for notice every %g s", cloud.name, cloud.every)
            except MetadataError as error:
                failing_since = failing_since or time.monotonic()
                if is_told is not False and time.monotonic() - failing_since >= self._patience:
                    is_told = False
                    what = f"{cloud.name}'s metadata service: {error} -> {_remedy(cloud, error)}"
                    logger.warning("preemption | %s", what)
            time.sleep(cloud.every)

    def _judge(self, event: Event) -> Notice | None:
        """The notice if `event` ends the machine now; of others a line is logged once."""
        line, starts = str(Notice(event.cloud, event.what, event.starts)), event.starts
        is_near = starts is not None and starts - LEAD_SECONDS <= time.time() <= starts
        if event.kind == "end" or (event.kind == "maintenance" and is_near):
            return Notice(event.cloud, event.what, starts)
        if line not in self._said:
            self._said.add(line)
            day = time.strftime(" (%Y-%m-%d)", time.gmtime(starts)) if starts else ""
            logger.warning("preemption | %s%s: training goes on", line, day)
        return None


def find_cloud(choice: str, environ: Mapping[str, str], dmi: Path = DMI) -> Cloud | None:
    """The cloud that `choice` names, or for auto that of this machine; None on another one.

    An address in `environ` names its cloud too, so that a service of one's own can be asked anywhere.
    """
    made = {name: cls(_service(environ, cls.variable)) for name, cls in CLOUDS.items()}
    if choice in made:
        return made[choice]
    told = read_dmi(dmi)
    if name := told or next((name for name, cls in CLOUDS.items() if environ.get(cls.variable)), ""):
        return made[name]
    return None if told == "" else next(filter(_is_here, made.values()), None)


def read_dmi(dmi: Path = DMI) -> str | None:
    """The cloud by what the machine's firmware says, without a request; empty: none of them; None: it says nothing."""
    vendor = _read(dmi / "sys_vendor")
    if not vendor:
        return None
    if vendor == "Amazon EC2" or "amazon" in _read(dmi / "bios_version").lower():  # The second: on Xen.
        return "aws"
    if vendor == "Microsoft Corporation" and _read(dmi / "chassis_asset_tag") == AZURE_TAG:
        return "azure"
    return "gce" if vendor == "Google" and "Compute Engine" in _read(dmi / "product_name") else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _service(environ: Mapping[str, str], variable: str) -> MetadataService:
    address = environ.get(variable) or ADDRESS
    try:
        return MetadataService(address)
    except ValueError as error:
        logger.warning("preemption | %s %s: %s is asked", variable, error, ADDRESS)
        return MetadataService(ADDRESS)


def _is_here(cloud: Cloud) -> bool:
    try:
        return cloud.is_here(PROBE_SECONDS)
    except MetadataError:
        return False


def _remedy(cloud: Cloud, error: MetadataError) -> str:
    if isinstance(cloud, Aws) and not error.status:
        return (
            "no notice will be seen; a container needs a hop limit of 2 (aws ec2 modify-instance-metadata-options "
            "--http-put-response-hop-limit 2 --instance-id ...) or network_mode: host"
        )
    return "no notice will be seen while that lasts"
