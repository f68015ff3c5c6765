"""deploy/jobset/ fits the schemas of Kubernetes and of JobSet, and confines what it starts."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from app.environment import load
from entrypoint.commands import COMMANDS

FOLDER = Path(__file__).parents[3] / "deploy" / "jobset"
KUBERNETES = "1.34"


def read_kustomization() -> dict:
    return yaml.safe_load((FOLDER / "kustomization.yaml").read_text())


def written() -> list[dict]:
    """The objects as they are written, before kustomize."""
    return [
        item for name in read_kustomization()["resources"] for item in yaml.safe_load_all((FOLDER / name).read_text())
    ]


def built() -> list[dict]:
    """The objects as kustomize makes them; skips without it."""
    programs = (("kubectl", "kustomize"), ("kustomize", "build"))
    argv = next((words for words in programs if shutil.which(words[0])), None)
    if argv is None:
        pytest.skip("needs kubectl or kustomize")
    done = subprocess.run([*argv, str(FOLDER)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


SOURCES = pytest.mark.parametrize("objects", [written, built])


def jobs(items) -> dict[str, dict]:
    """The specification of each job of the JobSet by name."""
    (jobset,) = (item for item in items if item["kind"] == "JobSet")
    return {job["name"]: job["template"]["spec"] for job in jobset["spec"]["replicatedJobs"]}


def pods(items) -> dict[str, dict]:
    """The specification of each pod by name."""
    found = {name: job["template"]["spec"] for name, job in jobs(items).items()}
    return found | {
        item["metadata"]["name"]: item["spec"]["template"]["spec"] for item in items if item["kind"] == "Deployment"
    }


def containers(pod) -> list[dict]:
    return [*pod["containers"], *pod.get("initContainers", [])]


@SOURCES
def test_kubernetes_accepts_each_object(objects):
    """By the strict schema of Kubernetes, which knows every key; the jobs within the JobSet as jobs of their own."""
    validate = pytest.importorskip("kubernetes_validate").validate
    items = objects()
    for item in items:
        if item["kind"] != "JobSet":
            validate(item, KUBERNETES, strict=True)
    for name, spec in jobs(items).items():
        validate(
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}, KUBERNETES, strict=True
        )


@SOURCES
def test_jobset_accepts_the_workers(objects):
    """By the models made of JobSet's own schema: each key is known there, and is of its type."""
    models = pytest.importorskip("kubeflow_trainer_api.models")
    (given,) = (item for item in objects() if item["kind"] == "JobSet")
    assert lost(given, models.JobsetV1alpha2JobSet.from_dict(given).to_dict()) == []


def lost(given, understood, path="") -> list[str]:
    """Where `given` has what `understood` has not; models pass over keys that they do not know."""
    if isinstance(given, dict):
        if not isinstance(understood, dict):
            return [path] if given else []
        return [at for key, held in given.items() for at in lost(held, understood.get(key), f"{path}.{key}")]
    if isinstance(given, list):
        if not isinstance(understood, list) or len(understood) != len(given):
            return [path]
        pairs = zip(given, understood, strict=True)
        return [at for number, pair in enumerate(pairs) for at in lost(*pair, f"{path}[{number}]")]
    return [] if given == understood else [path]


def test_a_misspelt_key_is_found():
    """In each part of the JobSet: a number, a name, a list."""
    models = pytest.importorskip("kubeflow_trainer_api.models")
    for path in ("spec.failurePolicy.maxRestarts", "spec.network.subdomain", "spec.replicatedJobs.1.dependsOn"):
        (given,) = (item for item in written() if item["kind"] == "JobSet")
        *parents, key = path.split(".")
        place = given
        for name in parents:
            place = place[int(name) if name.isdigit() else name]
        place[f"{key}s"] = place.pop(key)
        understood = models.JobsetV1alpha2JobSet.from_dict(given).to_dict()
        assert [at.rpartition(".")[2].partition("[")[0] for at in lost(given, understood)] == [f"{key}s"]


@SOURCES
def test_every_container_is_confined(objects):
    """A user of its own, nothing writable but volumes, no capability, no token of the cluster, a memory limit."""
    for name, pod in pods(objects()).items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", name
        for one in containers(pod):
            context = one["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert one["resources"]["limits"]["memory"] and one["resources"]["requests"]["cpu"], name


@SOURCES
def test_only_workers_get_a_gpu_and_all_share_the_runs(objects):
    """One claim for many nodes; a GPU for each worker and for nobody else."""
    items = objects()
    claim = next(item for item in items if item["kind"] == "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for name, pod in pods(items).items():
        (runs,) = (volume for volume in pod["volumes"] if volume["name"] == "models")
        assert runs["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"], name
        assert {"nvidia.com/gpu" in one["resources"]["limits"] for one in pod["containers"]} == {name == "worker"}, name


@SOURCES
def test_the_cluster_names_each_worker(objects):
    """TF_CONFIG has as many addresses as there are workers: the names and the port that JobSet gives to their pods."""
    items = objects()
    (jobset,) = (item for item in items if item["kind"] == "JobSet")
    worker = jobs(items)["worker"]
    (container,) = worker["template"]["spec"]["containers"]
    environ = {one["name"]: one.get("value") for one in container["env"]}
    number, name = worker["completions"], jobset["metadata"]["name"]
    assert worker["parallelism"] == number and worker["completionMode"] == "Indexed"
    config = json.loads(environ["TF_CONFIG"].replace("$(WORKER)", "1"))
    port = next(one["containerPort"] for one in container["ports"] if one["name"] == "workers")
    subdomain = jobset["spec"]["network"]["subdomain"]
    assert config["cluster"]["worker"] == [f"{name}-worker-0-{at}.{subdomain}:{port}" for at in range(number)]
    assert config["task"] == {"type": "worker", "index": 1}
    assert list(environ).index("WORKER") < list(environ).index("TF_CONFIG")  # or Kubernetes does not put it in


def test_commands_and_settings_exist():
    """Each container runs a command of detbox, and the settings are accepted."""
    literals = next(one for one in read_kustomization()["configMapGenerator"] if one["name"] == "settings")["literals"]
    load({}, dict(line.split("=", 1) for line in literals), None)
    for name, pod in pods(written()).items():
        for one in pod["containers"]:
            word = one["args"][0] if "args" in one else re.search(r"detbox (\w+)", " ".join(one["command"]))[1]
            assert word in COMMANDS, name


def test_kustomize_names_the_image_everywhere():
    """Also within the JobSet, a kind that kustomize does not know."""
    image = next(one for one in read_kustomization()["images"] if one["name"] == "detbox")
    for name, pod in pods(built()).items():
        assert {one["image"] for one in containers(pod)} == {f"{image['newName']}:{image['newTag']}"}, name
