"""What the image says of where it comes from, and that a second build of the same gives the same."""

import json
import os
import tomllib

import pytest
from compose_project import ROOT, base, copy_clone, docker

pytestmark = pytest.mark.container
LAYERS = "--format={{json .RootFS.Layers}}"
LIST_PYTHON = """
import importlib.metadata, json, re
found = importlib.metadata.distributions()
print(json.dumps([[re.sub("[-_.]+", "-", one.name).lower(), one.version] for one in found]))
"""


def base_image() -> str:
    """What the tests' images are built on."""
    return os.environ.get("BASE_IMAGE") or base().get("BASE_IMAGE", "ubuntu:24.04")


def content(image, name) -> str:
    """A file of the image."""
    done = docker("run", "--rm", "--entrypoint=cat", image, name)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def bom(image) -> str:
    return content(image, "/opt/detbox/sbom.cdx.json")


def layers(image) -> list[str]:
    return json.loads(docker("image", "inspect", LAYERS, image).stdout)


@pytest.fixture
def build(engine, tmp_path):
    """Builds a stage from a new copy of our files with other modes, and some stages anew; gives the layers of it."""
    copy_clone(tmp_path)
    for folder in ("app", "entrypoint"):  # Not scripts/: the environment would be installed anew, for minutes.
        for path in (tmp_path / folder).rglob("*"):
            path.chmod(path.stat().st_mode & ~0o077)
    given = {"BASE_IMAGE": base_image(), "ACCELERATOR": "cpu", "REVISION": "0123abc"}
    words = [word for name, value in given.items() for word in ("--build-arg", f"{name}={value}")]
    network = ["--network=host"] if base() else []

    def run(target: str, anew: str) -> list[str]:
        tag = "detbox-test:again"
        options = [f"--target={target}", f"--no-cache-filter={anew}", f"--tag={tag}"]
        done = docker("buildx", "build", *network, *options, *words, str(tmp_path), timeout=900)
        assert done.returncode == 0, done.stderr[-3000:]
        found = layers(tag)
        docker("image", "rm", tag)
        return found

    return run


def test_our_layers_are_the_same_again(image, build):
    """What is made of our files, and what describes the image, from another folder and later."""
    assert build("runtime", "requirements,code,manifest") == layers(image)


def test_the_systems_layers_are_the_same_again(build):
    """The distribution's packages and the user. Twice now: a layer in the cache may be from before an update."""
    once, again = (build("system", "hosts,base,system") for _ in range(2))
    assert once == again and len(once) == len(set(once))


def test_the_labels_say_what_it_is(image):
    """Version and revision, also if nobody gave them."""
    labels = json.loads(docker("image", "inspect", image).stdout)[0]["Config"]["Labels"]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert labels["org.opencontainers.image.version"] == version
    assert labels["org.opencontainers.image.revision"] == "0123abc"
    assert labels["org.opencontainers.image.base.name"]


def test_the_sbom_is_cyclonedx(bom):
    """By CycloneDX's own strict schema."""
    json_schema = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema").SchemaVersion.V1_6
    assert json_schema.JsonStrictValidator(schema).validate_str(bom) is None


def test_the_sbom_names_every_package(image, bom):
    """Each of Python's and of the distribution's, with its version, and nothing else."""
    components = json.loads(bom)["components"]
    named = {(one["name"], one["version"]) for one in components}
    python = docker("run", "--rm", "--entrypoint=/opt/detbox/env/bin/python", image, "-c", LIST_PYTHON)
    dpkg = docker("run", "--rm", "--entrypoint=dpkg-query", image, "--show")
    installed = {tuple(one) for one in json.loads(python.stdout)}
    installed |= {tuple(line.split("\t")) for line in dpkg.stdout.replace(":amd64", "").splitlines()}
    assert named == installed
    from_pypi = [one for one in components if one.get("purl", "").startswith("pkg:pypi/")]
    assert {one["name"] for one in components} - {one["name"] for one in components if "purl" in one} == {
        "detbox",
        "object-detection",
    }
    assert [one["name"] for one in from_pypi if not one.get("hashes")] == []


def test_the_provenance_says_what_it_was_built_of(image):
    """Revision, base, lock and patches; the same is in `doctor --json`."""
    found = json.loads(content(image, "/opt/detbox/provenance.json"))
    assert (found["revision"], found["accelerator"], found["extras"]) == ("0123abc", "cpu", ["notify"])
    assert found["base_image"] == base_image()
    assert found["od_api"]["patches"]
    assert json.loads(docker("run", "--rm", image, "doctor", "--json").stdout)["image"] == found


def test_a_file_mounted_over_ours_is_what_runs(image, tmp_path):
    """Compiled modules are those of their sources, which are not told by their times."""
    (tmp_path / "humanize.py").write_text("print('another')\n")
    mount = f"--volume={tmp_path}/humanize.py:/opt/detbox/code/app/humanize.py:ro"
    python = ["--entrypoint=/opt/detbox/env/bin/python", image, "-c", "import app.humanize"]
    assert docker("run", "--rm", mount, *python).stdout == "another\n"
