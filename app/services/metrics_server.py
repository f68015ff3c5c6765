"""The page `/metrics` of a run, for Prometheus."""

import logging
from collections.abc import Sequence

from app.errors import SettingsError
from app.run.directory import Run
from app.settings import flag

logger = logging.getLogger(__name__)


def serve_metrics(run: Run, services: Sequence[str], *, host: str, port: int) -> None:
    """Serves what `services` do in `run` in a thread of its own, until the process ends; port 0 serves nothing.

    Raises SettingsError if it can't listen on `host` and `port`.
    """
    if not port:
        return
    from prometheus_client import CollectorRegistry, start_http_server

    from app.services.run_collector import RunCollector

    registry = CollectorRegistry(auto_describe=False)
    registry.register(RunCollector(run, services))
    try:
        start_http_server(port, host, registry)
    except OSError as error:
        raise SettingsError(
            f"{host}:{port} can't be listened on ({error.strerror or error})",
            where="metrics",
            remedy=f"another {flag('metrics_port')}, or {flag('metrics_host')}",
        ) from None
    logger.info("metrics | http://%s:%d/metrics", host, port)
