"""`status`: the state of the runs."""

from app.services import run_table
from app.settings import Settings


def run(settings: Settings) -> run_table.Status:
    """The table of the runs under `models_dir`, or the one that `run` names."""
    return run_table.read_table(settings.models_dir, settings.run, settings.best_metric)
