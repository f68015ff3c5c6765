"""What can be said of the compose files without running anything."""

import json
import re
import subprocess

import pytest
from compose_project import CPU, ROOT

from app.compose_variables import NAMES
from app.settings import FIELDS, variable

pytestmark = pytest.mark.container
FILES = {"gpu": CPU[:1], "cpu": CPU}
OF_PROFILE = {
    "": (),
    "serving": ("serving",),
    "monitoring": ("prometheus", "grafana"),
    "workers": ("worker",),
    "command": ("detbox",),
    "*": ("serving", "prometheus", "grafana", "worker", "detbox"),
}


def config(files, *words, **variables) -> dict:
    """What compose makes of the files, without a .env."""
    named = [word for name in files for word in ("-f", name)]
    argv = ["docker", "compose", "--env-file", "/dev/null", *named, *words, "config", "--format", "json"]
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", **variables}
    done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "variable is not set" not in done.stderr
    return json.loads(done.stdout)


@pytest.fixture(autouse=True)
def _engine(engine):
    pass


@pytest.mark.parametrize("profile", [("--profile", name) if name else () for name in OF_PROFILE], ids=" ".join)
@pytest.mark.parametrize("files", FILES.values(), ids=FILES)
def test_every_combination_is_valid(files, profile):
    """Compose accepts each, and each has the services that it should."""
    services = set(config(files, *profile)["services"])
    assert services == {"prepare", "trainer", "evaluator", "tensorboard"} | set(
        OF_PROFILE[profile[-1] if profile else ""]
    )


def test_only_the_trainer_gets_a_gpu_and_only_without_the_cpu_file():
    """The evaluator is blind to it by three means: no reservation, no mount by NVIDIA's runtime, no device in CUDA."""
    with_gpu = config(FILES["gpu"])["services"]
    reserved = {name for name, service in with_gpu.items() if "reservations" in str(service.get("deploy"))}
    assert reserved == {"trainer"}
    for name in ("prepare", "evaluator", "tensorboard"):
        assert with_gpu[name]["environment"]["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert with_gpu["evaluator"]["environment"]["CUDA_VISIBLE_DEVICES"] == "-1"
    assert with_gpu["prepare"]["build"]["args"]["ACCELERATOR"] == "gpu"
    without = config(FILES["cpu"])["services"]
    assert not any(service.get("deploy") for service in without.values())
    assert without["prepare"]["build"]["args"]["ACCELERATOR"] == "cpu"
    assert len({service["image"] for service in without.values()}) == 1


@pytest.mark.parametrize("files", FILES.values(), ids=FILES)
def test_every_service_is_confined(files):
    """No capability, no new privilege, nothing writable but the volume and /tmp, bounded logs."""
    for name, service in config(files, "--profile", "*")["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True and any(line.startswith("/tmp") for line in service["tmpfs"]), name
        assert service["logging"]["options"]["max-size"], name
        assert not service.get("privileged"), name
        assert service.get("network_mode") == ("host" if name == "worker" else None), name
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", [])), name


def test_the_shell_and_dotenv_reach_every_service():
    """A setting given to the shell is in each of ours; where the volume is, is not theirs to change."""
    services = config(FILES["cpu"], DETBOX_BATCH_SIZE="3", DETBOX_MODELS_DIR="/elsewhere")["services"]
    for name, service in services.items():
        assert service["environment"]["DETBOX_BATCH_SIZE"] == "3", name
        assert service["environment"]["DETBOX_MODELS_DIR"] == "/models", name
        assert service["environment"]["DETBOX_SEED"] is None, name


def test_the_port_of_tensorboard_is_that_of_this_machine():
    """The same line in .env serves with containers and without."""
    (port,) = config(FILES["cpu"], DETBOX_TENSORBOARD_PORT="7007")["services"]["tensorboard"]["ports"]
    assert (port["published"], port["target"]) == ("7007", 6006)


@pytest.mark.parametrize(
    ("given", "told"), [({}, "127.0.0.1:6006"), ({"DETBOX_TENSORBOARD_PORT": "7007"}, "127.0.0.1:7007")]
)
def test_tensorboard_is_told_where_it_is_published(given, told):
    """One port, which no other start changes; its log can say the true address."""
    service = config(FILES["cpu"], **given)["services"]["tensorboard"]
    assert service["environment"]["DETBOX_TENSORBOARD_PUBLISHED"] == told
    (port,) = service["ports"]
    assert f"{port['host_ip']}:{port['published']}" == told


def test_training_begins_after_tensorboard_has_its_port():
    """So a port that is taken leaves no half of a trio; and it waits for prepare alone."""
    services = config(FILES["cpu"])["services"]
    for name in ("trainer", "evaluator"):
        assert services[name]["depends_on"]["tensorboard"]["condition"] == "service_started", name
    assert set(services["tensorboard"]["depends_on"]) == {"prepare"}


def test_any_command_waits_for_nothing():
    """The service for it depends on none, has no GPU, and the volumes of the others."""
    services = config(FILES["gpu"], "--profile", "command")["services"]
    command, trainer = services["detbox"], services["trainer"]
    assert not command.get("depends_on") and not command.get("deploy")
    assert command["volumes"] == trainer["volumes"] and command["image"] == trainer["image"]


def test_what_a_container_may_take_is_bounded():
    """Processes, memory in /tmp, logs: each with a variable."""
    services = config(FILES["cpu"], TMP_SIZE="5g", PIDS_LIMIT="77", LOG_DRIVER="local")["services"]
    for name in ("prepare", "trainer", "evaluator", "tensorboard"):
        service = services[name]
        assert (service["pids_limit"], service["tmpfs"], service["logging"]["driver"]) == (
            77,
            ["/tmp:size=5g"],
            "local",
        )


def test_results_go_to_a_folder_of_the_host_on_request():
    """RESULTS_DIR mounts it and tells detbox; without it detbox copies nothing."""
    silent, asked = config(FILES["cpu"])["services"], config(FILES["cpu"], RESULTS_DIR="./out")["services"]
    assert silent["evaluator"]["environment"]["DETBOX_RESULTS_DIR"] == ""
    assert asked["evaluator"]["environment"]["DETBOX_RESULTS_DIR"] == "/results"
    sources = {volume["target"]: volume["source"] for volume in asked["evaluator"]["volumes"]}
    assert sources["/results"] == str(ROOT / "out")


def test_every_variable_is_known():
    """What the files read is what .env.example names, and a name that is near to one of these is found out."""
    text = "".join((ROOT / name).read_text() for name in CPU)
    read = set(re.findall(r"\$\{([A-Z_]+)", text)) - {variable(name) for name in FIELDS} - {"USER"}
    missing = read - set(NAMES)
    assert not missing, missing


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "sample"),
        ({"DETBOX_RUN": "wheels"}, "wheels"),
        ({"DETBOX_RUN": "wheels", "DETBOX_SERVING_NAME": "prod"}, "prod"),
        ({"DETBOX_RUN": "wheels", "SERVING_MODEL": "other"}, "other"),
    ],
)
def test_serving_loads_what_is_promoted(given, name):
    """The model has the name that the evaluator promotes to, below the folder where Serving looks."""
    environment = config(FILES["cpu"], "--profile", "serving", **given)["services"]["serving"]["environment"]
    assert (environment["MODEL_BASE_PATH"], environment["MODEL_NAME"]) == ("/models/serving", name)


def test_metrics_are_served_on_request_to_the_project_only():
    """One port within each container, whichever number asks for it; it is published nowhere."""
    asked = config(FILES["cpu"], "--profile", "monitoring", DETBOX_METRICS_PORT="1")["services"]
    silent = config(FILES["cpu"])["services"]
    for name in ("trainer", "evaluator"):
        environment = asked[name]["environment"]
        assert (environment["DETBOX_METRICS_HOST"], environment["DETBOX_METRICS_PORT"]) == ("0.0.0.0", "9464")
        assert "ports" not in asked[name]
        assert silent[name]["environment"]["DETBOX_METRICS_PORT"] == ""


@pytest.mark.parametrize(
    ("variables", "name"),
    [({"USER": "john.doe"}, "detbox-johndoe"), ({"USER": ""}, "detbox-anyone"), ({"DETBOX_PROJECT": "mine"}, "mine")],
)
def test_two_users_have_a_project_each(variables, name):
    """Whatever their clones are called: a project's volume has its name."""
    found = config(FILES["cpu"], **variables)
    assert (found["name"], found["volumes"]["models"]["name"]) == (name, f"{name}_models")


def test_a_worker_is_a_trainer_that_knows_the_others():
    """The same service with the same GPUs; TF_CONFIG reaches it, and no other service."""
    services = config(FILES["gpu"], "--profile", "workers", TF_CONFIG="{}")["services"]
    worker, trainer = services["worker"], services["trainer"]
    assert worker["command"][:1] == trainer["command"][:1] == ["train"] and worker["deploy"] == trainer["deploy"]
    assert [name for name, one in services.items() if one["environment"].get("TF_CONFIG")] == ["worker"]
    assert "worker" not in config(FILES["gpu"], TF_CONFIG="{}")["services"]


def test_a_build_says_of_what_it_is():
    """The revision and the commit's time where they are given, else that the revision is unknown, and no time."""
    args = config(FILES["cpu"])["services"]["prepare"]["build"]["args"]
    assert (args["REVISION"], args.get("SOURCE_DATE_EPOCH")) == ("unknown", None)
    given = config(FILES["cpu"], DETBOX_REVISION="0123abc", SOURCE_DATE_EPOCH="1700000000")
    args = given["services"]["prepare"]["build"]["args"]
    assert (args["REVISION"], args["SOURCE_DATE_EPOCH"]) == ("0123abc", "1700000000")
