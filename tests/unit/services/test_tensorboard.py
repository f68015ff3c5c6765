"""TensorBoard: the port, the process, its end."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.jobs.tensorboard import RunEnd, _log_folder
from app.run.directory import Run
from app.run.evaluations import append_evaluation
from app.run.files import write_json
from app.run.heartbeat import write_heartbeat
from app.services import tensorboard
from app.settings import Settings

ROOT = Path(__file__).parents[3]
HOST = "127.0.0.1"


@pytest.fixture
def busy():
    """A port that something listens on."""
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        yield server.getsockname()[1]


def test_the_next_free_port_is_found(busy):
    """A busy port is passed over; 0 gives any free one."""
    assert not tensorboard.is_free(HOST, busy)
    assert tensorboard.is_listening(HOST, busy)
    assert tensorboard.find_free_port(HOST, busy) > busy
    assert tensorboard.is_free(HOST, tensorboard.find_free_port(HOST, 0))


def test_a_busy_port_is_an_error_for_the_service(busy, tmp_path):
    """A service that took another port than it was told could not be found."""
    with pytest.raises(SettingsError) as caught:
        tensorboard.serve(tmp_path, host=HOST, port=busy, samples_per_plugin="images=1")
    assert f"{HOST}:{busy}" in caught.value.what
    assert "--tensorboard_port" in caught.value.remedy


def test_an_address_of_another_machine_is_an_error(tmp_path):
    """A wrong host is told like a busy port."""
    with pytest.raises(SettingsError) as caught:
        tensorboard.serve(tmp_path, host="203.0.113.1", port=6006, samples_per_plugin="images=1")
    assert "203.0.113.1:6006" in caught.value.what


def test_it_serves_until_a_signal(tmp_path):
    """The page is there within seconds, without TensorFlow, and SIGTERM is the service's normal end."""
    port = tensorboard.find_free_port(HOST, 0)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "entrypoint", "tensorboard", "--run=r", f"--tensorboard_port={port}"]
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(argv, cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL, stderr=log)
    try:
        deadline = time.monotonic() + 40
        while not tensorboard.is_listening(HOST, port) and time.monotonic() < deadline:
            time.sleep(0.1)
        with urllib.request.urlopen(tensorboard.url(HOST, port), timeout=10) as page:
            assert b"TensorBoard" in page.read()
        if Path(f"/proc/{process.pid}/maps").exists():
            assert "libtensorflow" not in Path(f"/proc/{process.pid}/maps").read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
    finally:
        process.kill()
        process.wait()
    text = (tmp_path / "log").read_text()
    assert f"tensorboard | {tensorboard.url(HOST, port)}" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "localhost"), (HOST, "localhost"), ("gpu1", "gpu1")])
def test_url_can_be_clicked(host, shown):
    """0.0.0.0 is no address for a browser."""
    assert tensorboard.url(host, 6006) == f"http://{shown}:6006/"


def test_it_can_end_with_the_run(tmp_path):
    """Asked to, it serves while the run goes on, then ends with code 0, its data server too."""
    over, port = tmp_path / "over", tensorboard.find_free_port(HOST, 0)
    program = (
        "import sys, pathlib; from app.services import tensorboard\n"
        "tensorboard.end_when(pathlib.Path(sys.argv[1]).exists, every=0.1, linger=0.1)\n"
        f"tensorboard.serve(pathlib.Path('.'), host='{HOST}', port={port}, samples_per_plugin='images=1')\n"
    )
    argv = [sys.executable, "-c", program, str(over)]
    process = subprocess.Popen(argv, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        deadline = time.monotonic() + 40
        while not tensorboard.is_listening(HOST, port) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert tensorboard.is_listening(HOST, port)
        assert process.poll() is None
        over.touch()
        assert process.wait(timeout=20) == 0
        assert tensorboard.is_free(HOST, port)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def ended(tmp_path):
    """A run that was trained to step 9 and evaluated there, an hour ago."""
    run = Run(tmp_path)
    write_json(run.done, {"step": 9, "of": 9, "reason": "completed"})
    append_evaluation(run, {"step": 9, "metrics": {}}, {})
    write_heartbeat(run, "trainer", state="done", step=9, of=9, clock=lambda: time.time() - 3600)
    return run


def test_a_finished_run_is_shown_until_a_trainer_finds_nothing_to_do(ended):
    """`docker compose up tensorboard` stays, `docker compose up` of all services ends."""
    over = RunEnd(ended, time.time())
    assert over.was_finished and not over()
    write_heartbeat(ended, "trainer", state="done", step=9, of=9)
    assert over()


def test_a_run_is_over_when_it_is_evaluated_or_has_failed_for_good(ended):
    """A failure of before TensorBoard's start is none: the trainer may be about to start."""
    ended.done.unlink()
    write_heartbeat(ended, "trainer", state="failed", step=5, of=9, code=6, clock=lambda: time.time() - 3600)
    over = RunEnd(ended, time.time())
    assert not over.was_finished and not over()
    write_json(ended.done, {"step": 9, "of": 9, "reason": "completed"})
    assert over()
    ended.done.unlink()
    write_heartbeat(ended, "trainer", state="failed", step=5, of=9, code=6)
    assert over()


def test_a_port_is_chosen_once_and_kept(tmp_path):
    """The next free one where the usual is in use, and that again once the usual is free."""
    run = Run(tmp_path / "r")
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        busy = server.getsockname()[1]
        chosen = tensorboard.choose_port(run, HOST, busy, is_given=False)
        assert chosen > busy
    assert tensorboard.choose_port(run, HOST, busy, is_given=False) == chosen
    assert tensorboard.choose_port(run, HOST, busy, is_given=True) == busy
    assert tensorboard.choose_port(Run(tmp_path / "other"), HOST, busy, is_given=False) == busy


def test_runs_side_by_side(tmp_path):
    """Those that `compare` names, or all: a folder of links to theirs, gone afterwards."""
    for name in ("a", "b", "c"):
        write_heartbeat(Run(tmp_path / name), "trainer", state="done", step=1, of=1)
    for compare, names in (("a,c", ["a", "c"]), ("all", ["a", "b", "c"])):
        with _log_folder(Run(tmp_path / "a"), Settings(models_dir=tmp_path, compare=compare)) as folder:
            assert sorted(path.name for path in folder.iterdir()) == names
            assert (folder / "a").resolve() == tmp_path / "a"
        assert not folder.exists()
    with _log_folder(Run(tmp_path / "a"), Settings(models_dir=tmp_path)) as folder:
        assert folder == tmp_path / "a"


def test_it_says_where_it_is_published(tmp_path):
    """In a container it listens elsewhere than it is reached."""
    port = tensorboard.find_free_port(HOST, 0)
    code = (
        "import logging, pathlib, sys; from app import log; from app.services import tensorboard; log.set_up()\n"
        f"tensorboard.serve(pathlib.Path('.'), host='{HOST}', port={port}, samples_per_plugin='images=1',"
        " published='127.0.0.1:7007')\n"
    )
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(
        argv, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=-1, text=True
    ) as child:
        try:
            assert "tensorboard | http://localhost:7007/ |" in child.stderr.readline()
        finally:
            child.terminate()


def test_a_preempted_run_is_over(ended):
    """The trainer does not come back on this machine; one that was preempted before goes on now."""
    ended.done.unlink()
    write_heartbeat(ended, "trainer", state="preempted", step=5, of=9, clock=lambda: time.time() - 3600)
    over = RunEnd(ended, time.time())
    assert not over()
    write_heartbeat(ended, "trainer", state="preempted", step=5, of=9)
    assert over()
