"""A bounded part of what scripts/faults does: nothing that was reported is lost, whatever ends a process."""

import subprocess
import sys
from pathlib import Path

import pytest
import results

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.e2e
PARTS = {
    "trainer": {"kill-trainer": 6, "kill-trainer-in-save": 1, "SIGTERM-step": 1, "SIGHUP-save": 1, "two-trainers": 1},
    "others": {
        "kill-evaluator": 2, "kill-all": 1, "kill-prepare": 2, "data-cut": 1, "metrics-tail-cut": 1, "done-garbage": 1,
    },
}  # fmt: skip


def start(folder: Path, part: str, kinds: dict[str, int]) -> subprocess.Popen:
    """scripts/faults on the faults of a part, with results in the file of its name."""
    where = [f"--results={folder / part}", f"--folder={folder / 'runs' / part}"]
    faults = [f"--fault={name}:{times}" for name, times in kinds.items()]
    command = [sys.executable, str(ROOT / "scripts" / "faults"), *where, *faults]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope="module")
def injected(tmp_path_factory):
    """Both parts, at the same time; the output of each, and its results."""
    folder = tmp_path_factory.mktemp("faults")
    started = {part: start(folder, part, kinds) for part, kinds in PARTS.items()}
    try:
        yield {part: (process.communicate(timeout=900)[0], folder / part) for part, process in started.items()}
    finally:
        for process in started.values():
            process.kill()
            process.wait()


@pytest.mark.parametrize("part", PARTS)
def test_nothing_is_lost(injected, part):
    """Each fault is injected as often as it is asked for, and survived."""
    output, file = injected[part]
    found = results.read([file])
    times = {name: sum(injection.fault == name for injection in found) for name in PARTS[part]}
    assert times == PARTS[part], output[-3000:]
    assert [injection for injection in found if injection.problem] == [], output[-3000:]


def test_what_is_in_the_file_is_not_injected_again(injected):
    """The same command goes on where it was: here at its end, at once."""
    _, file = injected["trainer"]
    again = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "faults"), "--fault=kill-trainer:6", f"--results={file}"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "| `kill-trainer` | SIGKILL of the trainer at a random moment | 6 | 6 |" in again.stdout
    assert "survived" not in again.stderr
