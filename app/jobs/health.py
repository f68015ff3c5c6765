"""`health`: whether a service of the run makes progress."""

from app.jobs import run_directory
from app.run import health
from app.settings import Settings


def run(settings: Settings) -> health.Health:
    """The health of the service that `service` names."""
    return health.look(run_directory.find(settings), settings.service)
