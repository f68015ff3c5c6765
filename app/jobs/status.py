"""`status`: the state of the runs."""

from app.services import run_table
from app.settings import Settings, is_given


def run(settings: Settings) -> run_table.Status:
    """The table of the runs under `models_dir`, or the one that `run` names; each by its own metric."""
    metric = settings.best_metric if is_given(settings, "best_metric") else ""
    return run_table.read_table(settings.models_dir, settings.run, metric)
