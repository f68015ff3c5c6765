"""What is deployed elsewhere: checked as far as that goes here."""

import json
import re
import shutil
import subprocess

import pytest
from compose_project import ROOT, base, docker

pytestmark = pytest.mark.container
INSTALL = "apt-get update && apt-get install --yes --no-install-recommends cloud-init"
SCHEMA = "cloud-init schema --config-file"


def test_the_user_data_fits_the_schema_of_cloud_init(engine):
    """By cloud-init itself, the one of this machine or else one in a container."""
    path = ROOT / "deploy" / "cloud-init.yaml"
    if shutil.which("cloud-init"):
        done = subprocess.run([*SCHEMA.split(), str(path)], capture_output=True, text=True)
    else:
        image = base().get("BASE_IMAGE", "ubuntu:24.04")
        options = ["--rm", "--network=host", f"--volume={path}:/user-data:ro", "--env=DEBIAN_FRONTEND=noninteractive"]
        script = f"{INSTALL} >/tmp/log 2>&1 || {{ cat /tmp/log; exit 99; }}; {SCHEMA} /user-data"
        done = docker("run", *options, image, "sh", "-c", script, timeout=600)
        if done.returncode == 99:
            pytest.skip(f"cloud-init can't be installed here: {done.stdout.splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Valid" in done.stdout


def test_the_dev_container_is_the_trainers_image(projects, image):
    """Its compose files are valid together, and the service that waits sees the checkout's code before the image's."""
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
    settings = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    for name in settings["dockerComposeFile"]:
        assert (ROOT / ".devcontainer" / name).is_file(), name
    project = projects(files=("compose.yaml", "compose.cpu.yaml", ".devcontainer/compose.yaml"))
    shutil.copytree(ROOT / ".devcontainer", project.folder / ".devcontainer")
    project.folder.chmod(0o755)  # pytest gives its folders to their owner alone
    project.ok("up", "--detach", settings["service"])
    where = "import app; print(app.__file__)"
    assert project.ok("exec", settings["service"], "python3", "-c", where).startswith(settings["workspaceFolder"])
    project.down()
