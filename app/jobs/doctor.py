"""`doctor`: what is wrong with this machine or installation."""

from app.machine import doctor
from app.settings import Settings


def run(settings: Settings) -> doctor.Diagnosis:
    """Every check of the machine, with what to do about those that fail."""
    return doctor.diagnose(settings.models_dir)
