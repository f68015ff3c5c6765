"""Style, as one of the tests: the scripts' last line is then the whole truth."""

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(
    not (shutil.which("ruff") or (Path(sys.executable).parent / "ruff").exists()),
    reason="ruff is not installed",
)
@pytest.mark.parametrize("check", [["check", "--output-format", "concise"], ["format", "--check"]], ids=" ".join)
def test_ruff_finds_nothing(check):
    """The code is as pyproject.toml wants it; scripts/lint --fix corrects most."""
    ruff = shutil.which("ruff", path=f"{Path(sys.executable).parent}:{Path('/usr/bin')}") or "ruff"
    done = subprocess.run([ruff, *check, "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("tool", [["mypy"], ["deptry", "."]], ids=" ".join)
def test_types_and_dependencies(tool):
    """Types hold by mypy's strict rules; what is imported is declared, and what is declared is imported."""
    program = shutil.which(tool[0], path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip(f"{tool[0]} is not installed")
    done = subprocess.run([program, *tool[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


HADOLINT = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin")


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed")
def test_hadolint_finds_nothing():
    """The Dockerfile follows its rules, or gives its reason where it does not."""
    done = subprocess.run([HADOLINT, "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_file_of_tests_has_a_name_of_its_own():
    """pytest imports them by that alone, and fails to collect the second of a name."""
    names = sorted(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, next_name in itertools.pairwise(names) if name == next_name] == []
