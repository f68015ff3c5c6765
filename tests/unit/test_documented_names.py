"""Modules and functions that the documentation names exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "decisions").glob("*.md")))
ARCHITECTURE = ROOT / "docs" / "architecture.md"


def paths(text: str) -> set[str]:
    """Paths of the code that a page names; one that ends in a slash is a folder."""
    return set(re.findall(r"\b(?:app|entrypoint)/[a-z0-9_/]*(?:\.py|\.json)?", text)) - {"app/", "entrypoint/"}


def dotted(text: str) -> set[str]:
    """What a page names as `package.module.function`."""
    known = {path.stem for path in (ROOT / "app").iterdir()} | {"entrypoint"}
    found = re.findall(r"`([a-z_]+(?:\.\w+)+)`", text)
    return {name for name in found if name.split(".")[0] in known and not name.endswith((".json", ".config"))}


def exists(name: str) -> bool:
    """Whether `name` is a module, or is defined at the top of one."""
    parts = name.split(".")
    base = ROOT if parts[0] == "entrypoint" else ROOT / "app"
    for length in range(len(parts), 0, -1):
        place = base.joinpath(*parts[:length])
        file = place.with_suffix(".py") if place.with_suffix(".py").is_file() else place / "__init__.py"
        if file.is_file():
            body = ast.parse(file.read_text(encoding="utf-8")).body
            names = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
            return length == len(parts) or (length == len(parts) - 1 and parts[-1] in names)
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_exist(page):
    """Files and folders of the code."""
    missing = {path for path in paths(page.read_text(encoding="utf-8")) if not (ROOT / path).exists()}
    assert missing == set()


def test_walks_go_where_they_say():
    """Every function of the six walks is there."""
    names = dotted(ARCHITECTURE.read_text(encoding="utf-8"))
    assert len(names) > 40
    assert {name for name in names if not exists(name)} == set()


def test_a_name_that_is_gone_is_found():
    """The check itself can fail."""
    assert exists("jobs.up.run") and exists("checkpoint.Checkpoint")
    assert not exists("jobs.up.walk") and not exists("jobs.down.run")
