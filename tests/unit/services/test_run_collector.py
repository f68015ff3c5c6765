"""What Prometheus is told of a run."""

import json
import random
import urllib.request

import example_run
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from refusals import refused

from app.errors import SettingsError
from app.run.heartbeat import write_heartbeat
from app.run.metrics import append_metrics
from app.services.metrics_server import serve_metrics
from app.services.run_collector import RunCollector
from app.services.tensorboard import find_free_port

HOST = "127.0.0.1"


@pytest.fixture
def run(tmp_path):
    """A run whose trainer was started twice, failed once, and is done; its evaluator evaluates."""
    run = example_run.write(tmp_path / "wheels")
    for state in ("starting", "training", "failed"):
        write_heartbeat(run, "trainer", state=state, step=10, of=200, is_start=state == "starting")
    write_heartbeat(run, "trainer", state="failed", step=10, of=200)
    write_heartbeat(run, "trainer", state="starting", step=10, of=200, is_start=True)
    write_heartbeat(run, "trainer", state="done", step=200, of=200)
    write_heartbeat(run, "evaluator", state="evaluating", step=150, of=0, is_start=True)
    append_metrics(run, {**example_run.row(random.Random(1), 200, 200), "goodput": {"training": 100.0, "lost": 20.0}})
    run.checkpoint(200).with_name("ckpt-200.index").write_bytes(b"")
    return run


def values(run, *services) -> dict[tuple[str, ...], float]:
    """The samples by name and labels other than the run's."""
    registry = CollectorRegistry()
    registry.register(RunCollector(run, services) if services else RunCollector(run))
    found = {}
    for family in registry.collect():
        for sample in family.samples:
            assert sample.labels["run"] == run.name
            found[(sample.name, *(text for name, text in sample.labels.items() if name != "run"))] = sample.value
    return found


def test_the_samples_are_the_runs_own_figures(run):
    """Each value stands in a file of the run."""
    row = json.loads(run.metrics.read_text().splitlines()[-1])
    last = json.loads(run.evaluations.read_text().splitlines()[-1])
    best = json.loads(run.best_card.read_text())
    found = values(run)
    assert found["detbox_step",] == found["detbox_steps_wanted",] == 200
    assert {key[1]: value for key, value in found.items() if key[0] == "detbox_loss"} == row["losses"]
    assert found["detbox_learning_rate",] == row["learning_rate"]
    assert found["detbox_images_per_second",] == row["examples_per_sec"]
    assert found["detbox_trainer_resident_memory_bytes",] == row["memory_mb"] * 1e6
    measured = {name: value for name, value in last["metrics"].items() if value is not None}
    assert {key[1]: value for key, value in found.items() if key[0] == "detbox_evaluation_value"} == measured
    assert example_run.MAP in measured
    assert found["detbox_best_value", example_run.MAP] == best["value"]
    assert found["detbox_best_step",] == best["step"]
    assert found["detbox_checkpoint_newest_step",] == 200
    assert found["detbox_checkpoint_newest_timestamp_seconds",] == pytest.approx(
        run.checkpoint(200).with_name("ckpt-200.index").stat().st_mtime
    )
    assert found["detbox_training_ended",] == 1
    assert {key[1]: value for key, value in found.items() if key[0] == "detbox_goodput_seconds"} == row["goodput"]


def test_starts_and_failures_outlive_the_process(run):
    """A failure is counted once, however often the service says that it failed."""
    found = values(run)
    assert found["detbox_service_starts_total", "trainer"] == 2
    assert found["detbox_service_failures_total", "trainer"] == 1
    assert found["detbox_service_starts_total", "evaluator"] == 1


def test_a_service_is_in_one_state(run):
    """One state has 1, the others 0."""
    found = values(run)
    for service, state in (("trainer", "done"), ("evaluator", "evaluating")):
        of = {key[2]: value for key, value in found.items() if key[:2] == ("detbox_service_state", service)}
        assert [name for name, value in of.items() if value] == [state]


def test_trainer_and_evaluator_share_the_run(run):
    """Nothing but the end of training is told by both, so that two targets do not say the same twice."""
    both = set(values(run, "trainer")) & set(values(run, "evaluator"))
    assert both == {("detbox_training_ended",)}
    assert set(values(run, "trainer")) | set(values(run, "evaluator")) == set(values(run))


def test_a_run_that_has_not_begun_has_a_page(tmp_path):
    """Before the first heartbeat there are few figures, and no error."""
    found = values(example_run.Run(tmp_path / "new"))
    assert found["detbox_service_state", "trainer", "not started"] == 1
    assert ("detbox_service_healthy", "trainer") not in found


def test_the_page_is_what_prometheus_reads(run):
    """Served over HTTP, also with half a character in a name; names follow Prometheus' conventions."""
    with run.metrics.open("a") as file:
        file.write('{"step": 200, "losses": {"Loss/\\ud800 \\"a\\n": 1.5}}\n')
    port = find_free_port(HOST, 0)
    serve_metrics(run, ("trainer", "evaluator"), host=HOST, port=port)
    with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=10) as page:
        families = list(text_string_to_metric_families(page.read().decode()))
    names = [sample.name for family in families for sample in family.samples]
    assert "detbox_loss" in names
    assert all(name.startswith("detbox_") for name in names)
    counters = {sample.name for family in families if family.type == "counter" for sample in family.samples}
    assert counters == {name for name in names if name.endswith("_total")}
    with refused(SettingsError, where="metrics", flag="--metrics_port", about=str(port)):
        serve_metrics(run, ("trainer",), host=HOST, port=port)


def test_a_host_of_another_machine_is_an_error(run):
    """A wrong host is told like a busy port."""
    with refused(SettingsError, where="metrics", flag="--metrics_host", about="203.0.113.1"):
        serve_metrics(run, ("trainer",), host="203.0.113.1", port=9464)
