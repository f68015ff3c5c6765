"""The restoring of a run: whole or not at all."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import copied_runs
import pytest
from copied_runs import check_whole, files, restored, upload, wipe, write_run
from refusals import refused

from app.errors import SettingsError
from app.run_copy.manifest import PART_BYTES
from app.run_copy.restore import restore
from app.run_copy.store import CopyStore

TRAINER = """
import random, sys, time
from pathlib import Path
import copied_runs
from app.run.directory import Run
from app.run.files import append_line
from app.run_copy.state import read_state
from app.run_copy.store import CopyStore
from app.services import run_copier
run_copier.TICK_SECONDS = 0.02
run, url = Run(Path(sys.argv[1])), sys.argv[2]
run.root.mkdir(parents=True, exist_ok=True)
run.pipeline_config.write_text("model {}")
copier = run_copier.RunCopier(run, CopyStore(url, run.name), 1)
copier.start()
step = max(run.checkpoint_steps(), default=0)
while True:
    step += 1
    copied_runs.save(run, step, keep=2)
    append_line(run.evaluations, {"step": step, "metrics": {}})
    time.sleep(random.random() / 3)
    print(read_state(run).step, flush=True)
"""


@pytest.fixture
def run(tmp_path):
    """A run that was copied to `place`, and is gone with its machine."""
    return write_run(tmp_path / "models", size=PART_BYTES + 999_968)


def lose(run, place):
    upload(run, place.url)
    kept = files(run)
    wipe(run)
    return kept


def test_every_byte_comes_back(run, place):
    """With the times of the files, so that the next copy does not read them again."""
    stamp = (run.records / "train-00000").stat().st_mtime_ns
    kept = lose(run, place)
    found = restored(run, place.url)
    assert (found.step, found.files, files(run)) == (7, len(kept), kept)
    assert (run.records / "train-00000").stat().st_mtime_ns == stamp
    assert sorted(path.name for path in run.root.parent.iterdir()) == [".wheels.restore.lock", "wheels"]


def test_without_a_copy_there_is_nothing_to_restore(tmp_path, place):
    """A new run."""
    run = write_run(tmp_path / "models")
    wipe(run)
    assert restored(run, place.url) is None
    assert not run.root.exists()


@pytest.mark.parametrize("left", ["run.json", "ckpt-3.index", "metrics.jsonl"])
def test_a_run_that_is_there_is_not_touched(run, place, left):
    """Whatever the copy has."""
    lose(run, place)
    run.root.mkdir()
    (run.root / left).write_text("mine")
    assert restored(run, place.url) is None
    assert [path.name for path in run.root.iterdir()] == [left]


def test_what_a_process_that_starts_has_begun_is_kept(run, place):
    """It has its log open, and holds locks."""
    run.log("up").parent.mkdir()
    run.log("up").write_text("of the lost machine")
    lose(run, place)
    run.log("up").parent.mkdir(parents=True)
    with open(run.log("up"), "w") as log:
        log.write("begins")
        assert restored(run, place.url)
        log.write(" and goes on")
    assert run.log("up").read_text() == "begins and goes on"
    assert run.checkpoint_steps() == [7]


def parts_of(place):
    return [name for name in place.names() if "/parts/" in name]


@pytest.mark.parametrize("damage", ["missing", "cut", "changed", "larger"])
def test_a_damaged_copy_is_refused_as_a_whole(run, place, damage):
    """Whichever part it is: no file of it is left."""
    lose(run, place)
    name = max(parts_of(place), key=lambda one: len(place.read(one)))
    data = place.read(name)
    if damage == "missing":
        place.delete(name)
    else:
        place.write(name, {"cut": data[:-1], "changed": data[:-1] + b"?", "larger": data + b"?"}[damage])
    with refused(SettingsError, where="wheels", flag="sync_to", about="damaged"):
        restored(run, place.url)
    assert [path.name for path in run.root.parent.iterdir()] == [".wheels.restore.lock"]


def change(place, **values):
    found = json.loads(place.read("wheels/manifest.json"))
    place.write("wheels/manifest.json", json.dumps({**found, **values}).encode())


HOSTILE = [
    "../out", "/tmp/out", "a/../../out", ".hidden", "a//b", "a/./b", "", ".", "a\0b", "a\nb", "status/trainer.lock",
    "status/sync.json", "sample-1/x", "x" * 300, "y/" * 600 + "y", 7, None, ["a"],
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE)
def test_a_manifest_writes_nowhere_else(run, place, path):
    """Its names come from outside."""
    lose(run, place)
    change(place, files=[{"path": path, "size": 0, "mtime_ns": 0, "parts": []}])
    before = sorted(run.root.parent.parent.rglob("*"))
    with refused(SettingsError, where="wheels", flag="sync_to"):
        restored(run, place.url)
    now = [path for path in sorted(run.root.parent.parent.rglob("*")) if path.suffix != ".lock"]
    assert now == [path for path in before if path.suffix != ".lock"]


@pytest.mark.parametrize(
    "values",
    [
        {"format": 2}, {"format": None}, {"files": None}, {"files": [7]}, {"step": -1}, {"writer": 7},
        {"files": [{"path": "a", "size": 9, "mtime_ns": 0, "parts": []}]},
        {"files": [{"path": "a", "size": 2**60, "mtime_ns": 0, "parts": []}]},
        {"files": [{"path": "a", "size": 9, "mtime_ns": 0, "parts": ["../../../x"]}]},
        {"files": [{"path": "a", "size": 0, "mtime_ns": 2**80, "parts": []}]},
        {"files": [{"path": name, "size": 0, "mtime_ns": 0, "parts": []} for name in ("a", "a")]},
        {"files": [{"path": name, "size": 0, "mtime_ns": 0, "parts": []} for name in ("a/b", "a")]},
    ],
)  # fmt: skip
def test_a_manifest_that_is_none_is_refused(run, place, values):
    """Or one of a later version."""
    lose(run, place)
    change(place, **values)
    with refused(SettingsError, where="wheels", flag="sync_to"):
        restored(run, place.url)


def test_a_copy_that_does_not_fit_is_refused_before_it_is_fetched(run, place, monkeypatch):
    """With what is free."""
    lose(run, place)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with refused(SettingsError, where="models", flag="models_dir"):
        restored(run, place.url)


def test_processes_that_start_at_one_moment_restore_once(run, place):
    """The trainer and the evaluator of a pod."""
    kept = lose(run, place)
    results = []
    threads = [threading.Thread(target=lambda: results.append(restored(run, place.url))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(result is not None for result in results) == 1
    assert files(run) == kept


def test_a_restore_that_was_killed_leaves_nothing(run, place):
    """The next one does it, and removes what is left."""
    kept = lose(run, place)
    left = run.root.parent / ".wheels.restore-abc"
    (left / "wheels").mkdir(parents=True)
    assert restored(run, place.url)
    assert files(run) == kept
    assert not left.exists()


def test_a_copy_that_changes_while_it_is_restored_is_taken_anew(run, place, monkeypatch):
    """Between the reading of its manifest and the claim, another one was written."""
    uploader = upload(run, place.url)
    moved = type(run)(run.root.with_name("moved"))
    run.root.rename(moved.root)
    uploader.run, claim, times = moved, CopyStore.replace_manifest, []

    def change_once(self, data, version):
        if not times:
            times.append(1)
            copied_runs.save(moved, 8)
            uploader.copy()
        return claim(self, data, version)

    monkeypatch.setattr(CopyStore, "replace_manifest", change_once)
    assert restore(run, CopyStore(place.url, run.name)).step == 8


def test_whatever_moment_a_machine_goes_at_its_run_is_whole(tmp_path, place):
    """Ten lives of a run, each ended by SIGKILL: what comes back is whole, and as new as it was said to be copied."""
    models, told, random_ = tmp_path / "models", 0, random.Random(3)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(copied_runs.__file__).parent), *sys.path])}
    run = copied_runs.Run(models / "wheels")
    for life in range(10):
        argv = [sys.executable, "-c", TRAINER, str(run.root), place.url]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, env=environ, process_group=0) as child:
            assert child.stdout
            child.stdout.readline()
            time.sleep(random_.uniform(0.1, 1.2))
            os.killpg(child.pid, signal.SIGKILL)
            lines = child.stdout.read().split()
        told = max([told, *map(int, lines)])
        newest = check_whole(run)
        wipe(run)
        if restored(run, place.url):
            assert told <= check_whole(run) <= newest, life
    assert told > 5
