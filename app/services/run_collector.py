"""What Prometheus is told of a run, read from the run's own files when it asks: no step does anything for it."""

import time
from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.run.directory import Run
from app.run.evaluations import read_best, read_evaluations
from app.run.heartbeat import ENDED, HEALTHY_SECONDS, NOT_STARTED, Heartbeat
from app.run.metrics import newest_metrics
from app.run.run_end import read_done
from app.services import up_process

STATES = (NOT_STARTED, *HEALTHY_SECONDS, *ENDED)


class _Families:
    """Metric families of one run by name, each made at its first value; a value of None is left out."""

    def __init__(self, run: Run):
        self._run = run.name
        self._found: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}

    def gauge(self, name: str, text: str, value: float | None, **labels: str) -> None:
        self._add(GaugeMetricFamily, name, text, value, labels)

    def counter(self, name: str, text: str, value: float | None, **labels: str) -> None:
        """`name` without its `_total`."""
        self._add(CounterMetricFamily, name, text, value, labels)

    def _add(
        self,
        kind: type[GaugeMetricFamily] | type[CounterMetricFamily],
        name: str,
        text: str,
        value: float | None,
        labels: dict[str, str],
    ) -> None:
        if value is None:
            return
        family = self._found.setdefault(name, kind(f"detbox_{name}", text, labels=["run", *labels]))
        # A damaged file may hold half a character, which no page can.
        values = [held.encode("utf-8", "backslashreplace").decode() for held in (self._run, *labels.values())]
        family.add_metric(values, float(value))

    def all(self) -> Iterable[Metric]:
        return self._found.values()


class RunCollector(Collector):
    """The metrics of `run`, or of the part of it that `services` do, as Prometheus' client asks for them."""

    def __init__(self, run: Run, services: Sequence[str] = up_process.SERVICES):
        self._run, self._services = run, services

    def collect(self) -> Iterable[Metric]:
        found = _Families(self._run)
        for service in self._services:
            _add_service(found, Heartbeat.read(self._run, service))
        found.gauge("training_ended", "1 once training has ended by itself", read_done(self._run) is not None)
        if "trainer" in self._services:
            _add_training(found, self._run)
        if "evaluator" in self._services:
            _add_evaluation(found, self._run)
        return found.all()


def _add_service(found: _Families, beat: Heartbeat) -> None:
    name = beat.service
    for state in STATES:
        found.gauge(
            "service_state", "1 for the state that the service is in", state == beat.state, service=name, state=state
        )
    if not beat.has_started:
        return
    healthy = beat.is_healthy(time.time())
    found.gauge("service_healthy", "1 while the service makes progress, or is done", healthy, service=name)
    found.gauge(
        "service_heartbeat_timestamp_seconds", "Unix time of the service's last heartbeat", beat.time, service=name
    )
    found.counter("service_starts", "Processes of the service so far", beat.starts, service=name)
    found.counter("service_failures", "Processes of the service that ended with an error", beat.failures, service=name)


def _add_training(found: _Families, run: Run) -> None:
    beat = Heartbeat.read(run, "trainer")
    row = newest_metrics(run)
    found.gauge("step", "Steps made", max(beat.step, row.get("step", 0)))
    found.gauge("steps_wanted", "Steps of the whole run", beat.of or row.get("of"))
    for name, loss in row.get("losses", {}).items():
        found.gauge("loss", "Loss by name, at the newest line of metrics.jsonl", loss, loss=name)
    found.gauge("learning_rate", "Learning rate", row.get("learning_rate"))
    found.gauge("steps_per_second", "Steps a second, between two lines of metrics.jsonl", row.get("steps_per_sec"))
    found.gauge("images_per_second", "Images trained on a second, likewise", row.get("examples_per_sec"))
    memory = row.get("memory_mb")
    found.gauge("trainer_resident_memory_bytes", "Memory of the trainer", memory and memory * 1e6)
    # No counter: seconds of training that are made again become seconds lost.
    for kind, seconds in row.get("goodput", {}).items():
        found.gauge("goodput_seconds", "Wall time of the trainer over all its starts, by kind", seconds, kind=kind)
    steps = run.checkpoint_steps()
    found.gauge("checkpoints", "Checkpoints that are kept", len(steps))
    if steps:
        found.gauge("checkpoint_newest_step", "Step of the newest checkpoint", steps[-1])
        found.gauge(
            "checkpoint_newest_timestamp_seconds", "Unix time of the newest checkpoint", _written_at(run, steps[-1])
        )


def _add_evaluation(found: _Families, run: Run) -> None:
    rows = read_evaluations(run)
    found.counter("evaluations", "Checkpoints evaluated", len(rows))
    behind = set(run.checkpoint_steps()) - {row["step"] for row in rows}
    found.gauge("checkpoints_unevaluated", "Checkpoints that are kept and not evaluated yet", len(behind))
    if rows:
        newest = rows[-1]
        found.gauge("evaluation_step", "Step of the newest evaluation", newest["step"])
        found.gauge("evaluation_timestamp_seconds", "Unix time of the newest evaluation", newest.get("time"))
        found.gauge("evaluation_duration_seconds", "Seconds that the newest evaluation took", newest.get("seconds"))
        found.gauge("evaluation_images", "Images of the newest evaluation", newest.get("images"))
        for name, value in newest.get("metrics", {}).items():
            found.gauge("evaluation_value", "Metrics of the newest evaluation by name", value, metric=name)
    if best := read_best(run):
        found.gauge("best_step", "Step of the best checkpoint", best["step"])
        for name, value in best.get("metrics", {}).items():
            found.gauge("best_value", "Metrics of the best checkpoint by name", value, metric=name)


def _written_at(run: Run, step: int) -> float | None:
    try:
        return run.checkpoint(step).with_name(f"{run.checkpoint(step).name}.index").stat().st_mtime
    except OSError:  # deleted meanwhile
        return None
