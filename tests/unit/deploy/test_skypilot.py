"""deploy/skypilot.yaml is a task that SkyPilot takes, and starts what detbox has."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from app.environment import load
from entrypoint.commands import COMMANDS

ROOT = Path(__file__).parents[3]
TASK = ROOT / "deploy" / "skypilot.yaml"
SKYPILOT = ("--with=skypilot==0.14.1", "--exclude-newer=2026-11-20")
"""Not in uv.lock: a hundred packages, some older than detbox' own. The date fixes what it depends on."""


def ask_skypilot(tasks: list[Path], home: Path) -> list[dict]:
    """What SkyPilot says of each task, in an environment of its own; skips where that can't be had."""
    cache = os.environ.get("UV_CACHE_DIR", Path.home() / ".cache" / "uv")
    environ = {**os.environ, "HOME": str(home), "UV_CACHE_DIR": str(cache), "PYTHONPATH": ""}
    uv = [str(ROOT / "scripts" / "uv"), "run", "--quiet", "--isolated", "--no-project", f"--python={sys.executable}"]
    program = str(Path(__file__).with_name("skypilot_task.py"))
    done = subprocess.run(
        [*uv, *SKYPILOT, "python", program, "MODELS_BUCKET=detbox-models-test", *map(str, tasks)],
        cwd=home, env=environ, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    if not done.stdout.startswith("{"):
        pytest.skip(f"needs SkyPilot from PyPI: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_skypilot_takes_the_task(tmp_path):
    """Spot VMs that are replaced, a bucket that is written through a cache; misspelt keys are refused."""
    written = TASK.read_text()
    keys = ("num_nodes", "use_spot", "transfers")
    for key in keys:
        (tmp_path / f"{key}.yaml").write_text(re.sub(rf"\b{key}:", f"{key}s:", written))
    task, *misspelt = ask_skypilot([TASK, *(tmp_path / f"{key}.yaml" for key in keys)], tmp_path)
    assert task["nodes"] == 1
    assert set(task["spot"]) == {True}
    assert all(one["recover_on_exit_codes"] == [9, 10, 143] for one in task["recovery"])
    assert task["mounts"] == {"/models": ["detbox-models-test", "MOUNT_CACHED"]}
    for key, one in zip(keys, misspelt, strict=True):
        assert f"{key}s" in one.get("error", ""), key


def test_its_settings_are_settings():
    """Each variable with detbox' prefix is accepted, together with the bucket that has to be named."""
    envs = yaml.safe_load(TASK.read_text())["envs"]
    load({}, {name: text for name, text in envs.items() if name.startswith("DETBOX_")}, None)
    assert [name for name, text in envs.items() if text is None] == ["MODELS_BUCKET"]


def test_its_commands_exist():
    """What it runs are commands of detbox, in a shell that takes the script."""
    task = yaml.safe_load(TASK.read_text())
    assert set(re.findall(r"detbox (\w+)", task["run"])) <= set(COMMANDS)
    assert (ROOT / task["setup"].split()[0]).is_file()
    subprocess.run(["bash", "-n", "-c", task["run"]], check=True)
