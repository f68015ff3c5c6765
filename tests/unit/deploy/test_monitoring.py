"""The dashboard and the alert rules ask for what the exporter gives."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import example_run
import pytest
import yaml
from prometheus_client import CollectorRegistry

from app.run.heartbeat import write_heartbeat
from app.run.metrics import append_metrics
from app.services.run_collector import RunCollector

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "deploy" / "monitoring"
RULES = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((MONITORING / "grafana" / "dashboards" / "detbox.json").read_text())
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
QUERIES = {
    **{rule["alert"]: rule["expr"] for rule in RULES},
    **{
        f"{panel['title']}, {at}": one["expr"]
        for panel in DASHBOARD["panels"]
        for at, one in enumerate(panel["targets"])
    },
    **{
        f"variable {one['name']}": re.fullmatch(r"label_values\((.+), \w+\)", one["definition"])[1]
        for one in DASHBOARD["templating"]["list"]
    },
}
FIGURES = ("learning_rate", "steps_per_sec", "examples_per_sec", "memory_mb")
FROM_PROMETHEUS = {"job", "instance"}
"""Labels that a scrape adds."""


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> dict[str, set[str]]:
    """The labels of each sample of a run that has all of its files."""
    run = example_run.write(tmp_path_factory.mktemp("models") / "wheels")
    append_metrics(
        run, {"step": 200, "losses": {"Loss/total_loss": 1.0}, **dict.fromkeys(FIGURES, 1.0), "goodput": {"lost": 1.0}}
    )
    run.checkpoint(200).with_name("ckpt-200.index").write_bytes(b"")
    for service in ("trainer", "evaluator"):
        write_heartbeat(run, service, state="training", step=200, of=200)
    registry = CollectorRegistry()
    registry.register(RunCollector(run))
    return {sample.name: set(sample.labels) for family in registry.collect() for sample in family.samples}


def selectors(query: str) -> list[tuple[str, set[str]]]:
    """Metric and labels of each selector in a query."""
    promql = pytest.importorskip("promql_parser")
    found = []

    def visit(part) -> None:
        if isinstance(part, promql.VectorSelector):
            found.append((part.name, {matcher.name for matcher in part.matchers.matchers}))

    promql.walk(promql.parse(query), visit)
    return found


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_asks_for_what_is_exported(query, exported):
    """It is PromQL; its metrics and labels exist."""
    asked = selectors(query)
    assert asked
    for name, labels in asked:
        assert name in exported
        assert labels - {"__name__"} <= exported[name] | FROM_PROMETHEUS, name


def test_everything_exported_is_shown_or_asked_for(exported):
    """A metric that neither a panel nor an alert uses is named here, so that none is forgotten."""
    used = {name for query in QUERIES.values() for name, _ in selectors(query)}
    assert set(exported) - used == {
        "detbox_best_step",
        "detbox_checkpoint_newest_step",
        "detbox_evaluation_images",
        "detbox_evaluation_step",
        "detbox_evaluation_timestamp_seconds",
        "detbox_evaluations_total",
        "detbox_service_heartbeat_timestamp_seconds",
        "detbox_steps_per_second",
    }


def test_a_dashboard_has_no_panel_twice():
    """Panels have numbers of their own, and lie within Grafana's 24 columns."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def test_prometheus_looks_where_compose_serves():
    """Its targets are the services of compose.yaml at the port that they take there."""
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    targets = config["scrape_configs"][0]["static_configs"][0]["targets"]
    ports = {
        f"{name}:{COMPOSE[name]['environment']['DETBOX_METRICS_PORT'].rpartition('+')[2].rstrip('}')}"
        for name in ("trainer", "evaluator")
    }
    assert set(targets) == ports
    assert all(COMPOSE[name]["environment"]["DETBOX_METRICS_HOST"] == "0.0.0.0" for name in ("trainer", "evaluator"))


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_the_monitoring_profile_is_confined(name):
    """Own user, nothing writable in the image, reachable from this machine only, at a fixed version."""
    service = COMPOSE[name]
    assert service["profiles"] == ["monitoring"]
    assert int(service["user"].partition(":")[0]) > 0
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert re.search(r":v?\d+\.\d+\.\d+\}$", service["image"])
    for mount in service["volumes"]:
        source = mount.partition(":")[0]
        assert not source.startswith(".") or ((ROOT / source).exists() and mount.endswith(":ro"))
    assert "PASSWORD" not in str(service)


def test_prometheus_accepts_its_files():
    """By promtool: the configuration, the rules, and when they fire."""
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("needs promtool, which comes with Prometheus")
    for words in (("check", "config", str(MONITORING / "prometheus.yml")), ("test", "rules", "alerts_test.yml")):
        done = subprocess.run([promtool, *words], cwd=Path(__file__).parent, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
