"""A run is worked on by one trainer and one evaluator at a time."""

import subprocess
import sys

import pytest

from app.errors import SettingsError
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
        with pytest.raises(SettingsError) as caught, lock.hold_service(run, "trainer"):
            pass
        assert caught.value.where == str(run.root)
        assert "--run=NAME" in caught.value.remedy
        with lock.hold_service(run, "evaluator"):
            pass
        first.kill()
        first.wait()
        with lock.hold_service(run, "trainer"):
            pass
