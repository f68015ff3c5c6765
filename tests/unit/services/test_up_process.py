"""Which process runs `up`, by what the file says."""

import json
import os
import signal
import time

import pytest
from refusals import refused

from app.errors import SettingsError
from app.run import lock, provenance
from app.run.directory import Run
from app.services import up_process


@pytest.mark.parametrize("pid", [0, -1, None, "1", 2**31, 2**53, 10**400, 1e308])
def test_no_signal_without_a_process(tmp_path, monkeypatch, pid):
    """Of a number that is none of a process; to the system 0 means every process of this one's group."""
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a signal was sent"))
    run = Run(tmp_path / "r")
    with up_process.hold_up(run, background=True):
        row = json.loads(run.status("up").read_text())
        run.status("up").write_text(json.dumps(row | {"pid": pid}))
        with refused(SettingsError, about="up.json"):
            up_process.send_signal(up_process.find_up(run), signal.SIGTERM)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"started": 1e308, "background": "x", "tensorboard": 7, "a": 1}'])
def test_a_damaged_file_is_an_up_of_which_nothing_is_known(tmp_path, content):
    """Its lock says that it runs."""
    run = Run(tmp_path / "r")
    with lock.hold_lock(run.service_lock("up"), None):
        run.status("up").write_text(content)
        up = up_process.find_up(run)
    assert (up.pid, up.place, up.background, up.tensorboard) == (0, "", False, "")
    assert up.describe(time.time())


def test_a_run_that_is_being_trained_is_not_prepared_from_other_settings(tmp_path):
    """By a second user who took the same name, say; by the same settings nothing changes."""
    run = Run(tmp_path / "r")
    provenance.write_given(run, {"batch_size": "4"}, "data/one")
    up_process.refuse_change(run, {"batch_size": "8"}, "data/two")
    with lock.hold_service(run, "trainer"):
        up_process.refuse_change(run, {"batch_size": "4"}, "data/one")
        with refused(SettingsError, about="batch_size", where=str(run.root), flag="run"):
            up_process.refuse_change(run, {"batch_size": "8"}, "data/one")
        with refused(SettingsError, about="dataset", where=str(run.root), flag="run"):
            up_process.refuse_change(run, {"batch_size": "4"}, "data/two")
