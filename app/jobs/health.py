"""`health`: whether a service of the run makes progress."""

import time
from dataclasses import dataclass

from app.run.directory import find_run
from app.run.heartbeat import Heartbeat
from app.settings import Settings


@dataclass(frozen=True)
class Health:
    """Whether a service makes progress. Its exit code is a healthcheck's: 0 healthy, 1 not."""

    service: str
    healthy: bool
    text: str

    @property
    def exit_code(self) -> int:
        return 0 if self.healthy else 1

    def __str__(self) -> str:
        return f"{self.service}: {self.text}"


def run(settings: Settings) -> Health:
    """The health of the service that `service` names."""
    beat, now = Heartbeat.read(find_run(settings.models_dir, settings.run_name), settings.service), time.time()
    return Health(beat.service, beat.is_healthy(now), beat.describe_progress(now))
