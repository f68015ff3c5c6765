"""`doctor`: what is wrong with this machine or installation."""

from app.machine import doctor, host_doctor
from app.machine.diagnosis import Diagnosis
from app.settings import Settings


def run(settings: Settings) -> Diagnosis:
    """Every check of the machine, with what to do about those that fail."""
    if settings.host:
        return host_doctor.diagnose()
    return doctor.diagnose(settings.models_dir)
