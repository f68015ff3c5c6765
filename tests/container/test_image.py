"""The image by itself: what is in it, what it needs, what it refuses."""

import json
import os
import tomllib

import pytest
from compose_project import ROOT, docker

pytestmark = pytest.mark.container
CONFINED = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=12345:12345", "--tmpfs=/tmp"]
MAX_BYTES = 2.5e9
LIST_PACKAGES = """
import importlib.metadata, json
print(json.dumps({found.name.lower().replace("_", "-"): found.version for found in importlib.metadata.distributions()}))
"""
LOAD_LIBRARIES = """
import ctypes, pathlib, site
for name in ("cudart.so.12", "nvJitLink.so.12", "cublasLt.so.12", "cublas.so.12", "cufft.so.11", "cusparse.so.12",
             "cusolver.so.11", "cudnn.so.9", "nccl.so.2"):
    (found,) = pathlib.Path(site.getsitepackages()[0], "nvidia").glob(f"*/lib/lib{name}")
    ctypes.CDLL(str(found))
"""
"""Loads, without a driver, every library that TensorFlow opens by this name."""


def test_the_cpu_image_is_small(image):
    """Under 2.5 GB, with everything that training takes."""
    assert int(docker("image", "inspect", "--format={{.Size}}", image).stdout) < MAX_BYTES


def test_the_entrypoint_is_the_command_line(image):
    """Exec form, under an init that passes signals on; not root; the revision in a label and to the program."""
    found = json.loads(docker("image", "inspect", image).stdout)[0]["Config"]
    assert found["Entrypoint"] == ["/usr/bin/tini", "--", "detbox"]
    assert found["User"] == "1000:1000"
    assert found["Labels"]["org.opencontainers.image.revision"] == "0123abc"
    done = docker("run", "--rm", image)
    assert done.returncode == 0 and "usage: detbox COMMAND" in done.stdout
    assert docker("run", "--rm", image, "trian").returncode == 2


def test_it_has_no_tools_to_build_with(image):
    """No compiler, no pip, no uv: what is in the image is what the lock says."""
    names = "for n in gcc cc make pip pip3 uv git; do command -v $n; done; ls /opt/detbox/env/bin"
    found = docker("run", "--rm", "--entrypoint=sh", image, "-c", names).stdout.split()
    assert "python3" in found
    assert not {name for name in found if name.rpartition("/")[2] in ("gcc", "cc", "make", "pip", "pip3", "uv", "git")}


def test_its_environment_is_that_of_the_lock(image):
    """Each installed package has the locked version; tensorflow-cpu stands in for tensorflow."""
    listed = docker("run", "--rm", "--entrypoint=/opt/detbox/env/bin/python", image, "-c", LIST_PACKAGES)
    installed = json.loads(listed.stdout)
    packages = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    locked = {(package["name"], package.get("version")) for package in packages}
    strangers = set(installed.items()) - locked
    assert strangers <= {("detbox", installed["detbox"])}
    assert "tensorflow-cpu" in installed and "tensorflow" not in installed
    assert not {"pytest", "ruff", "hypothesis"} & set(installed)


def test_doctor_tells_what_the_image_is(image):
    """Versions, hashes of the patches and the image's revision, for machines."""
    done = docker("run", "--rm", image, "doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    series = (ROOT / "third_party/object_detection/patches/series").read_text().split()
    assert [patch["name"] for patch in told["od_api"]["patches"]] == series
    assert all(len(patch["sha256"]) == 64 for patch in told["od_api"]["patches"])
    assert told["revision"] == "0123abc"
    assert {"name": "tensorflow", "state": "ok", "text": "tensorflow-cpu 2.21.0"}.items() <= told["checks"][1].items()


def test_any_user_on_a_read_only_root_can_train(image):
    """Read-only root, no capability, a user that the image does not know, and a tmpfs: the whole of `up`."""
    flags = ["--models_dir=/tmp/models", "--sample_images=16", "--batch_size=2", "--num_train_steps=4"]
    flags += ["--detection_outputs=1", "--eval_image_outputs=1", "--image_summary_every_n=0"]
    done = docker("run", "--rm", *CONFINED, image, "up", *flags, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "completed at step 4" in done.stdout


def test_a_read_only_root_is_told_where_something_must_be_written(image):
    """One line, with the user and the setting, and no traceback."""
    done = docker("run", "--rm", *CONFINED, image, "prepare")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1 and "/models/sample" in done.stderr and "DETBOX_MODELS_DIR" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif("BUILD_GPU_IMAGE" not in os.environ, reason="7 GB: on request, with BUILD_GPU_IMAGE=1")
def test_the_gpu_image_has_the_libraries_that_tensorflow_asks_for(projects):
    """The packages in the image satisfy TensorFlow's own requirements, and its build is for their CUDA."""
    project = projects(files=("compose.yaml",), DETBOX_IMAGE="detbox-test:gpu")
    project.ok("build", timeout=3000)
    done = docker("run", "--rm", "detbox-test:gpu", "doctor", "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["cuda"]["state"] == "ok" and "cuda-runtime-cu12 12." in checks["cuda"]["text"]
    assert checks["tensorflow"]["text"] == "tensorflow 2.21.0"
    program = "import tensorflow as tf, json; print(json.dumps(dict(tf.sysconfig.get_build_info()), default=str))"
    python = ["--entrypoint=/opt/detbox/env/bin/python", "detbox-test:gpu", "-c", program]
    build = json.loads(docker("run", "--rm", *python).stdout.splitlines()[-1])
    assert build["cuda_version"].startswith("12.") and build["cudnn_version"].startswith("9")
    assert f"cudnn-cu12 {build['cudnn_version']}." in checks["cuda"]["text"]
    loaded = docker("run", "--rm", "--entrypoint=/opt/detbox/env/bin/python", "detbox-test:gpu", "-c", LOAD_LIBRARIES)
    assert loaded.returncode == 0, loaded.stderr
