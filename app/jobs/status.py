"""`status`: the state of the runs."""

from app.services import host_runs, run_table
from app.settings import Settings, is_given


def run(settings: Settings) -> run_table.Status | host_runs.HostStatus:
    """The table of the runs under `models_dir`, or the one that `run` names; each by its own metric.

    With `host`, what runs on this machine, wherever its runs lie.
    """
    if settings.host:
        return host_runs.read_host()
    metric = settings.best_metric if is_given(settings, "best_metric") else ""
    return run_table.read_table(settings.models_dir, settings.run, metric)
