"""`health`: whether a service of the run makes progress."""

from app.run import health
from app.run.directory import find_run
from app.settings import Settings


def run(settings: Settings) -> health.Health:
    """The health of the service that `service` names."""
    return health.look(find_run(settings.models_dir, settings.run_name), settings.service)
