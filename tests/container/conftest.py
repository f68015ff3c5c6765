"""The engine, the image of this checkout, and projects that leave nothing behind."""

import shutil

import pytest
from compose_project import IMAGE, Project, docker


@pytest.fixture(scope="session")
def engine() -> None:
    """Skips where no container engine with Compose 2.24 or newer can be used."""
    if shutil.which("docker") is None:
        pytest.skip("needs a container engine: docker is not installed")
    if docker("info").returncode != 0:
        pytest.skip("needs a container engine: docker info fails")
    version = docker("compose", "version", "--short").stdout.strip().lstrip("v")
    if tuple(int(part) for part in version.split("-")[0].split(".")[:2] or [0]) < (2, 24):
        pytest.skip(f"needs Docker Compose 2.24, this is {version or 'none'}")


@pytest.fixture(scope="session")
def projects(engine, tmp_path_factory):
    """Makes projects; all of their containers, networks and volumes are gone at the end of the session."""
    made = []

    def make(**options) -> Project:
        made.append(Project(tmp_path_factory.mktemp("project"), **options))
        return made[-1]

    yield make
    for project in made:
        project.down()


@pytest.fixture(scope="session")
def image(projects) -> str:
    """The CPU image of this checkout."""
    projects(DETBOX_REVISION="0123abc").ok("build", timeout=1800)
    return IMAGE
