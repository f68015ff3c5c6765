"""The ranks of `app/`, held by reading the imports of every module."""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RANKS = (
    {"terminal_text", "humanize", "terminal_table"},
    {"errors", "log", "drawing", "text_files", "run_name", "declaration", "tfrecord", "compose_variables"},
    {"settings", "progress"},
    {"environment", "write_schedule", "raster_image"},
    {"run", "protos", "html", "host_paths"},
    {"machine", "checkpoint", "events"},
    {"dataset", "pipeline", "training", "evaluation", "detection", "run_copy"},
    {"odapi", "export", "inspection", "report", "services"},
    {"jobs"},
    {"entrypoint"},
)
"""From the bottom: a module imports only from its own package and from ranks below. docs/architecture.md draws them."""
RANK = {package: number for number, packages in enumerate(RANKS) for package in packages}
TENSORFLOW = {"tensorflow", "tf_keras", "keras", "tf_slim"}
MAY_IMPORT_TENSORFLOW = {"odapi", "detection", "export"}
UPSTREAM = {"odapi": "object_detection", "protos": "object_detection.protos"}
"""Who may import what of the OD API: its messages need no TensorFlow, all else has one door."""


@functools.cache
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


def package(name: str) -> str:
    """`app.pipeline.schedule` -> `pipeline`, `entrypoint.help` -> `entrypoint`; empty for what is not ours."""
    first, *rest = name.split(".")
    return first if first == "entrypoint" else rest[0] if first == "app" and rest else ""


def violations(name: str, source: str) -> list[str]:
    """What a module imports that its rank does not let it."""
    mine, found = package(name), []
    for imported in sorted(imports(source)):
        theirs = package(imported)
        root = imported.split(".")[0]
        upwards = bool(theirs) and theirs != mine and RANK[theirs] >= RANK[mine]
        upstream = root == "object_detection" and not imported.startswith(UPSTREAM.get(mine, "nothing"))
        if upwards or upstream or (root in TENSORFLOW and mine not in MAY_IMPORT_TENSORFLOW):
            found.append(f"{name} imports {imported}")
    return found


def test_a_command_starts_before_tensorflow_is_loaded():
    """It says what is wrong with the settings at once, and sends TensorFlow's chatter where it belongs."""
    names = [name for name in modules() if name.startswith("app.jobs.")]
    program = f"import sys, {', '.join(names)}; print([name for name in sys.modules if name in {TENSORFLOW}])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def circles(sources: dict[str, str]) -> list[str]:
    """Modules that import themselves by way of others, counting imports inside of functions too."""
    known = set(sources)
    edges = {
        name: {other for one in imports(source) for other in (one, one.rpartition(".")[0]) if other in known - {name}}
        for name, source in sources.items()
    }
    # A package's own __init__ is imported with every module of it, and imports none of them.
    edges = {name: {other for other in others if not name.startswith(f"{other}.")} for name, others in edges.items()}
    left = dict(edges)
    while free := [name for name, others in left.items() if not others & set(left)]:
        for name in free:
            del left[name]
    while ends := [name for name in left if not any(name in others for others in left.values())]:
        for name in ends:
            del left[name]
    return sorted(left)


@pytest.mark.parametrize("name", modules())
def test_imports_point_down(name):
    """A module imports from its own package and from ranks below; the OD API and TensorFlow have their doors."""
    assert violations(name, modules()[name]) == []


def test_no_module_imports_itself_by_way_of_others():
    """Not within a package either."""
    assert circles(modules()) == []


def test_every_package_has_a_rank():
    """A new package is given one here; one that is gone is taken out."""
    there = {package(name) for name in modules()} - {""}
    assert there == set(RANK)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("app.run.files", "from app.dataset import card"),
        ("app.run.files", "from app import jobs"),
        ("app.run.files", "from app.protos import label_map"),
        ("app.settings", "import entrypoint.commands"),
        ("app.errors", "from app import settings"),
        ("app.checkpoint", "from app.detection import loader"),
        ("app.training.loop", "def f():\n    import tensorflow as tf"),
        ("app.training.loop", "from app.evaluation import select"),
        ("app.training.loop", "from app import evaluation"),
        ("app.pipeline.build", "from app.odapi import runtime"),
        ("app.export.onnx", "from object_detection import exporter_lib_v2"),
        ("app.export.onnx", "from app.odapi import exporter"),
        ("app.odapi.exporter", "from app.export import formats"),
        ("app.protos.label_map", "from object_detection import inputs"),
        ("app.dataset.card", "from object_detection.protos import pipeline_pb2"),
        ("app.jobs.train", "import object_detection.inputs"),
        ("app.jobs.train", "import tensorflow"),
        ("app.dataset.formats.voc", "from app import jobs"),
        ("entrypoint.help_pages", "import tensorflow"),
    ],
)
def test_a_breach_is_found(name, source):
    """The check itself can fail, in each direction."""
    assert len(violations(name, source)) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("app.protos.label_map", "from object_detection.protos import string_int_label_map_pb2"),
        ("app.pipeline.schedule", "from app.protos import pipeline_config"),
        ("app.odapi.train_loop", "from object_detection import model_lib_v2"),
        ("app.training.loop", "from app.training import cadence\nfrom app.errors import DivergedError"),
        ("app.jobs.train", "from app import dataset, odapi, training"),
        ("entrypoint.commands", "from app import jobs, settings"),
    ],
)
def test_what_the_ranks_allow(name, source):
    """They are no stricter than the design."""
    assert violations(name, source) == []


def test_a_circle_is_found():
    """Of three modules, with what hangs on it left out."""
    sources = {"app.a.x": "from app.a import y", "app.a.y": "from app.a.z import f", "app.a.z": "from app.a import x"}
    assert circles(sources | {"app.a.w": "from app.a import x"}) == ["app.a.x", "app.a.y", "app.a.z"]


@pytest.mark.parametrize("name", [name for name, source in modules().items() if source.strip()])
def test_a_module_says_what_it_is_for(name):
    """It has a docstring, and a name that means something and is no gerund."""
    assert ast.get_docstring(ast.parse(modules()[name]))
    words = set(re.split(r"[._]", name))
    assert not {"utils", "util", "common", "helpers", "misc"} & words
    assert not [word for word in words if word.endswith("ing")] or words & NOUNS


NOUNS = {"training", "drawing", "serving", "matching", "stopping", "batching", "finding"}
"""Nouns that detection engineers use: groundtruth matching, early stopping, TensorFlow Serving."""


@pytest.mark.parametrize("name", modules())
def test_a_file_is_read_in_one_sitting(name):
    """At most 300 lines."""
    assert modules()[name].count("\n") <= 300
