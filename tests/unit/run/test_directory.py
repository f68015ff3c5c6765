"""The names of a run's files."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.run.directory import CARD, CHECKPOINT_PREFIX, PIPELINE_CONFIG, Run, checkpoint_step, find_run, find_runs


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "serving", "-x", "a b", "x" * 101])
def test_a_name_that_leaves_models_dir_is_refused(tmp_path, name):
    """No name reaches another folder or detbox's own."""
    with pytest.raises(SettingsError) as caught:
        find_run(tmp_path, name)
    assert "--run" in caught.value.remedy


def test_finding_a_run_writes_nothing(tmp_path):
    """A reader may look for a run that is not there."""
    run = find_run(tmp_path, "2024")
    assert (run.name, run.root, list(tmp_path.iterdir())) == ("2024", tmp_path / "2024", [])
    assert run.checkpoint_steps() == []


def test_checkpoint_steps_are_whole_checkpoints_in_order(tmp_path):
    """Data without an index (a write cut short) and names of another kind don't count."""
    for name in (
        "ckpt-20.index",
        "ckpt-3.index",
        "ckpt-100.data-00000-of-00001",
        "ckpt-x.index",
        "ckpt-7.tmp",
        "ckpt-007.index",
        "ckpt-٣.index",
    ):
        (tmp_path / name).touch()
    (tmp_path / "ckpt-8.index").mkdir()
    assert Run(tmp_path).checkpoint_steps() == [3, 20]


def test_runs_are_found_by_their_files(tmp_path):
    """A folder with a config, a heartbeat or a metric; not detbox's own folders, nor a stranger's."""
    for path in ("b/pipeline.config", "a/status/trainer.json", "c/metrics.jsonl", "zoo/pipeline.config", "d/notes"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    assert [run.name for run in find_runs(tmp_path)] == ["a", "b", "c"]
    assert find_runs(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("prefix", "step"),
    [("ckpt-120", 120), ("/models/r/ckpt-0", 0), ("ckpt-x", None), ("120", None), ("model.ckpt-12", 12), ("", None)],
)
def test_a_checkpoint_has_its_step_in_its_name(prefix, step):
    """Or none, if it is not one of the OD API's."""
    assert checkpoint_step(prefix) == step


ROOT = Path(__file__).parents[3]
RUN = Run(Path("/models/r"))
PATHS = [path for name in vars(Run) if isinstance(path := getattr(RUN, name), Path) and path != RUN.root]
NAMES = {path.name for path in PATHS} | {CARD}
FILES = {name for name in NAMES if "." in name or name.isupper()} | {CHECKPOINT_PREFIX}
"""Names that can be told from an ordinary word; of all others only `folder / "train"` is a name for certain."""
ELSEWHERE = {
    ("app/compose_variables.py", "DETBOX_WHEN_DONE"): "a variable of a VM",
    ("app/pipeline/migration/initial_weights.py", r"(^|/)ckpt-\d+$"): "recognizes anybody's TF2 checkpoint",
    ("app/protos/architecture.py", PIPELINE_CONFIG): "where an error is, if no file is known; protos imports no run",
}
"""What may be spelled outside of the module, with the reason. A text with blanks is prose, and is no name."""


def spelled(source: str) -> Iterator[str]:
    """The literals of a module that are names of a run's files."""
    for node in ast.walk(ast.parse(source)):
        is_joined = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        value = getattr(node.right if is_joined else node, "value", None)
        if not isinstance(value, str) or any(blank in value for blank in " \n"):
            continue
        if value in NAMES - FILES if is_joined else any(name in value for name in FILES):
            yield value


def test_only_one_module_spells_the_names():
    """A file that is renamed is renamed in one place."""
    paths = [path for room in ("app", "entrypoint") for path in (ROOT / room).rglob("*.py")]
    sources = {path.relative_to(ROOT).as_posix(): path for path in paths if path.name != "directory.py"}
    found = {(name, literal) for name, path in sources.items() for literal in spelled(path.read_text("utf-8"))}
    assert found == set(ELSEWHERE)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("folder / 'pipeline.config'", ["pipeline.config"]),
        ("glob(f'ckpt-{step}.*')", ["ckpt-"]),
        ("run.root / 'train'", ["train"]),
        ("split = 'train'", []),
        ("log('there is no pipeline.config here')", []),
    ],
)
def test_a_name_that_is_spelled_is_found(source, names):
    """The check itself can fail."""
    assert list(spelled(source)) == names
