"""A run is worked on by one trainer and one evaluator at a time."""

import subprocess
import sys

import pytest

from app.errors import SettingsError
from app.jobs import run_directory
from app.run import lock
from app.run.directory import Run

HOLD = "import sys,time; from pathlib import Path\n"
HOLD += "from app.run.directory import Run; from app.run.lock import hold_service\n"
HOLD += "with hold_service(Run(Path(sys.argv[1])), 'trainer'):\n print('held', flush=True); time.sleep(60)"


def test_a_second_trainer_is_refused_until_the_first_ends(tmp_path):
    """The lock of a process that was killed is gone with it; an evaluator is no trainer."""
    run = Run(tmp_path)
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(SettingsError, match="another trainer works on this run"), lock.hold_service(run, "trainer"):
            pass
        with lock.hold_service(run, "evaluator"):
            pass
        first.kill()
        first.wait()
        with lock.hold_service(run, "trainer"):
            pass


def test_a_failed_claim_leaves_no_empty_folder(tmp_path):
    """What was made for a run that came to nothing goes again; what holds files stays."""
    run = Run(tmp_path / "models" / "r")
    with pytest.raises(ValueError), run_directory.claimed(run):
        raise ValueError
    assert not run.root.exists()
    with pytest.raises(ValueError), run_directory.claimed(run):
        run.label_map.write_text("kept")
        raise ValueError
    assert run.label_map.read_text() == "kept"
