"""A run is worked on by one trainer and one evaluator at a time."""

import subprocess
import sys
import threading

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


def test_a_lock_that_is_held_is_waited_for(tmp_path, caplog):
    """Without a refusal for as long as it takes, which is logged once."""
    path = tmp_path / "status" / "trainer.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "held\n"
        threading.Timer(0.5, first.kill).start()
        with caplog.at_level("INFO", logger="app"), lock.hold_lock(path, None, wait_for="the other one"):
            assert first.wait(timeout=5)
    assert caplog.messages == ["waiting for the other one"]


def test_a_folder_is_locked_by_one(tmp_path):
    """Who does not get its lock is told so, and does not wait."""
    with lock.try_lock(tmp_path) as first, lock.try_lock(tmp_path) as second:
        assert (first, second) == (True, False)
    with lock.try_lock(tmp_path) as third:
        assert third


def test_whether_a_lock_is_held_can_be_asked(tmp_path):
    """Asking makes no file, and takes nothing from who wants to hold it."""
    path = tmp_path / "status" / "trainer.lock"
    assert not lock.is_held(path) and not path.parent.exists()
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "held\n"
        assert lock.is_held(path)
        first.kill()
        first.wait()
        assert not lock.is_held(path)
    asking = threading.Event()

    def ask():
        while not asking.is_set():
            lock.is_held(path)

    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(20):
        with lock.hold_service(Run(tmp_path), "trainer"):
            pass
    asking.set()
    thread.join()
