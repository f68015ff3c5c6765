"""The rule of dependencies, held by reading the imports of every module."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEAVES = {"settings", "errors", "log", "runs", "page", "charts", "drawing", "words"}
PARTS = {"dataset", "pipeline", "training", "evaluation", "export", "events"}
"""Packages that don't know of each other; `odapi` is the one way to the OD API for all of them."""
TENSORFLOW = {"tensorflow", "tf_keras", "keras", "tf_slim"}
WITHOUT_TENSORFLOW = LEAVES | {
    "jobs", "training", "dataset", "supervisor", "trio", "dashboard", "standing", "status", "doctor",
    "tensorboard", "patches",
}  # fmt: skip


def modules() -> dict[str, str]:
    """Every module of ours by its dotted name, with its source."""
    found = {}
    for package in ("app", "entrypoint"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = path.read_text(encoding="utf-8")
    return found


def imports(source: str) -> set[str]:
    """The dotted names that a module imports, at any depth; `from a import b` gives `a.b`."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def part(name: str) -> str:
    """`app.pipeline.schedule` -> `pipeline`; empty for what is not under app."""
    pieces = name.split(".")
    return pieces[1] if pieces[0] == "app" and len(pieces) > 1 else ""


def violations(name: str, source: str) -> list[str]:
    """What a module imports that the rule of dependencies does not let it."""
    me, found = part(name), []
    for imported in sorted(imports(source)):
        root, theirs = imported.split(".")[0], part(imported)
        wrong = (
            (root == "entrypoint" and not name.startswith("entrypoint"))
            or (root == "object_detection" and me != "odapi")
            or (root in TENSORFLOW and (me in WITHOUT_TENSORFLOW or name.startswith("entrypoint")))
            or (theirs == "jobs" and me != "jobs" and not name.startswith("entrypoint"))
            or (me in LEAVES and theirs and theirs not in LEAVES)
            or (me in PARTS and theirs and theirs not in LEAVES | {me, "odapi"})
            or (name.startswith("entrypoint") and theirs and theirs not in LEAVES | {"jobs"})
        )
        if wrong:
            found.append(f"{name} imports {imported}")
    return found


@pytest.mark.parametrize("name", modules())
def test_dependencies_point_one_way(name):
    """entrypoint -> jobs -> parts -> leaves; OD API only in odapi; TensorFlow where the design has it."""
    assert violations(name, modules()[name]) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("app.runs", "from app.dataset import voc"),
        ("app.runs", "from app import jobs"),
        ("app.settings", "import entrypoint.commands"),
        ("app.training.loop", "def f():\n    import tensorflow as tf"),
        ("app.training.loop", "from app.evaluation import select"),
        ("app.training.loop", "from app import evaluation"),
        ("app.export.onnx", "from object_detection import exporter_lib_v2"),
        ("app.jobs", "import object_detection.inputs"),
        ("app.jobs", "import tensorflow"),
        ("app.dataset.voc", "from app import jobs"),
        ("entrypoint.help", "from app import dashboard"),
        ("entrypoint.help", "import tensorflow"),
    ],
)
def test_a_breach_of_the_rule_is_found(name, source):
    """The check itself can fail."""
    assert len(violations(name, source)) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("app.pipeline.schedule", "from app.odapi import protos"),
        ("app.odapi.train", "from object_detection import model_lib_v2"),
        ("app.training.loop", "from app.training import cadence\nfrom app.errors import DivergedError"),
        ("app.jobs", "from app import dataset, odapi, training"),
    ],
)
def test_what_the_rule_allows(name, source):
    """It is no stricter than the design."""
    assert violations(name, source) == []


@pytest.mark.parametrize("name", [name for name, source in modules().items() if source.strip()])
def test_a_module_says_what_it_is_for(name):
    """It has a docstring, and no name that means nothing."""
    assert ast.get_docstring(ast.parse(modules()[name]))
    assert not {"utils", "util", "common", "helpers", "misc"} & set(name.split("."))
