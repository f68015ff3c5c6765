"""`up` and its terminal: what it outlives, what ends it, and the commands that find it again."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from pseudo_terminal import PseudoTerminal

from app.run.directory import Run
from app.run.files import read_lines
from app.services import up_process
from entrypoint.__main__ import run as detbox

TESTS = Path(__file__).parents[1]
STEPS = "100000"


@pytest.fixture
def run(tmp_path):
    """The run; whatever still works on it at the end is killed."""
    run = Run(tmp_path / "r")
    yield run
    if (up := up_process.find_up(run)) and up.pid != os.getpid():
        os.kill(up.pid, signal.SIGKILL)
    wait_for(lambda: not up_process.is_active(run))


def wait_for(condition, seconds=20):
    """Waits until `condition` holds; fails the test if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.02)


def environment() -> dict[str, str]:
    """Without variables of detbox's, with the fakes importable."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DETBOX_")}
    return kept | {"PYTHONPATH": f"{TESTS.parents[1]}:{TESTS}", "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}


def up(run: Run, trainer="TRAINER", steps=STEPS) -> list[str]:
    """The argument vector of a fake `up` that makes a step in 20 ms."""
    place = [f"--models_dir={run.root.parent}", f"--run={run.name}", "--tensorboard_port=0"]
    return [sys.executable, str(TESTS / "fake_up.py"), trainer, steps, "0.02", "up", *place]


def step(run: Run) -> int:
    """The newest step that the run has recorded."""
    rows = read_lines(run.metrics, tail_bytes=4096)
    return rows[-1]["step"] if rows else 0


def command(name: str, run: Run, *flags: str) -> int:
    """The exit code of a command for the run, run here."""
    return detbox([name, f"--models_dir={run.root.parent}", f"--run={run.name}", *flags])


def in_terminal(run: Run, tmp_path) -> PseudoTerminal:
    """`up` in a terminal, past its first steps."""
    terminal = PseudoTerminal(up(run), environment(), tmp_path)
    terminal.show_until(lambda: step(run) > 3 and "step" in terminal.screen, 30)
    return terminal


def test_up_outlives_its_terminal_and_stop_ends_it_at_an_exact_step(run, tmp_path, capsys):
    """The panel becomes lines in the run's log; `status` finds it; the step that `stop` names is the last one made."""
    terminal = in_terminal(run, tmp_path)
    assert "╭" in terminal.screen and up_process.find_up(run).background is False
    terminal.close()
    log, closed_at = run.log("up"), step(run)
    wait_for(lambda: log.exists() and "the terminal was closed, the run goes on" in log.read_text())
    wait_for(lambda: step(run) > closed_at + 20)
    assert terminal.code() is None
    assert command("status", run) == 0
    out = capsys.readouterr().out
    assert "in the background" in out and f"(process {terminal.pid})" in out
    assert command("stop", run, "--json") == 0
    stopped = json.loads(capsys.readouterr().out)
    assert (stopped["was_running"], stopped["step"]) == (True, step(run))
    assert run.checkpoint_steps() == [step(run)]
    wait_for(lambda: terminal.code() is not None)
    assert terminal.code() == 143
    assert f"step {step(run)} is saved" in log.read_text().splitlines()[-1]
    assert "╭" not in log.read_text()


def test_up_outlives_the_shell_that_it_was_typed_into(run, tmp_path):
    """Shell and kernel both send SIGHUP to its process group, one after the other."""
    terminal = PseudoTerminal(["/bin/bash", "--norc", "-i"], environment(), tmp_path)
    terminal.type(" ".join(up(run)) + "\n")
    terminal.show_until(lambda: step(run) > 3, 30)
    terminal.close()
    closed_at = step(run)
    wait_for(lambda: terminal.code() is not None)
    wait_for(lambda: step(run) > closed_at + 20)
    wait_for(lambda: up_process.find_up(run).background)
    assert command("stop", run) == 0


def test_a_hangup_that_is_sent_saves_and_ends(run, tmp_path):
    """The terminal is still there: `kill -HUP` is SIGTERM by another name."""
    terminal = in_terminal(run, tmp_path)
    os.kill(terminal.pid, signal.SIGHUP)
    terminal.show_until(lambda: terminal.code() is not None)
    assert terminal.code() == 129
    assert run.checkpoint_steps() == [step(run)]
    assert f"SIGHUP: step {step(run)} is saved" in terminal.screen


def test_a_reader_of_its_lines_that_ends_does_not_end_up(run, tmp_path):
    """`up 2>&1 | tee log`, and tee is killed: the lines go to the run's log, and the end is that of the run."""
    with subprocess.Popen(
        up(run, steps="150"), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        wait_for(lambda: step(run) > 3)
        process.stdout.close()
        assert process.wait(timeout=30) == 0
    assert "completed at step 150" in run.log("up").read_text()


def test_nohup_stays_nohup(run, tmp_path):
    """A SIGHUP that is ignored when `up` starts ends neither it nor a service."""
    argv = ["/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", *up(run)]
    with subprocess.Popen(argv, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: step(run) > 3)
        os.kill(process.pid, signal.SIGHUP)
        at = step(run)
        wait_for(lambda: step(run) > at + 10)
        assert command("stop", run) == 0
        assert process.wait(timeout=10) == 143


@pytest.fixture
def detached(monkeypatch, tmp_path):
    """`up --detach` in this process, which starts a fake `up`."""
    from app.services import background

    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("DETBOX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(
        background, "import_path", lambda environ: {**environ, "PYTHONPATH": environment()["PYTHONPATH"]}
    )

    def start(run, trainer="TRAINER", steps=STEPS, *flags):
        argv = [*up(run, trainer, steps)[:6]]
        monkeypatch.setattr(background, "command", lambda name: argv)
        return command("up", run, "--detach", "--tensorboard_port=0", *flags)

    return start


def test_detach_returns_when_training_has_begun(run, detached, capsys):
    """What the start says is shown; the process has no terminal, and a session of its own."""
    assert detached(run, "TRAINER", STEPS, "--json") == 0
    out, err = capsys.readouterr()
    started = json.loads(out)
    assert "prepared" in err and "╭" not in err
    assert step(run) >= started["step"] > 0
    assert os.getsid(started["pid"]) == started["pid"]
    assert up_process.find_up(run).pid == started["pid"] and up_process.find_up(run).background
    assert started["tensorboard"].startswith("http://localhost:")
    assert command("status", run) == 0
    assert "in the background" in capsys.readouterr().out
    assert command("stop", run) == 0
    assert f"run r stopped: step {step(run)} is saved" in capsys.readouterr().out
    psutil.Process(started["pid"]).wait(10)


def test_a_second_up_is_refused(run, detached, capsys):
    """Either way, at once, naming the command that ends the first."""
    assert detached(run) == 0
    before = run.log("up").read_text()
    for flags in ([], ["--detach"]):
        assert command("up", run, *flags) == 3
        assert "running already" in (err := capsys.readouterr().err.splitlines()[-1]) and "detbox stop" in err
    assert run.log("up").read_text().startswith(before)
    assert command("stop", run) == 0


def test_a_start_that_fails_ends_with_its_error(run, detached, capsys):
    """Its line and its exit code; the log stays where the run does."""
    assert detached(run, "CRASH") == 6
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("detbox: error: the trainer ended with code 6: loss is not finite at step 3")
    assert not up_process.is_active(run)


def test_a_run_that_has_ended_by_then_is_shown(run, detached, capsys):
    """A run of a few steps is over before the start has been seen."""
    assert detached(run, "TRAINER", "1") == 0
    assert "step 1" in capsys.readouterr().out


def test_ctrl_c_ends_a_start(run, detached, capsys):
    """Who gives up waiting does not want it to go on."""

    def interrupt():
        wait_for(run.status("up").exists)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert detached(run, "STUBBORN_START") == 130
    thread.join()
    assert not up_process.is_active(run)
    assert "detbox: stopped:" in capsys.readouterr().err.splitlines()[-1]


def test_detach_is_refused_where_it_would_be_a_containers_end(run, detached, capsys, monkeypatch):
    """The command of a container is the child of its first process, or that itself."""
    from app.services import background

    monkeypatch.setattr(os, "getppid", lambda: 1)
    monkeypatch.setattr(background, "_name_of_first", lambda: "tini")
    assert detached(run) == 3
    assert "--detach" in capsys.readouterr().err
    assert not run.root.exists()


def test_up_waits_for_the_services_of_one_that_was_killed(run, detached, capsys):
    """They save their step and end; then it goes on, and says meanwhile what it waits for."""
    assert detached(run, "SLOW_TO_STOP") == 0
    os.kill(up_process.find_up(run).pid, signal.SIGKILL)
    wait_for(lambda: up_process.find_up(run) is None)
    assert up_process.find_services(run) == ["trainer"]
    assert command("stop", run) == 3
    assert "trainer" in capsys.readouterr().err
    assert detached(run) == 0
    assert "waiting for the trainer" in capsys.readouterr().err
    assert command("stop", run) == 0


def test_stopping_twice_kills_nothing(run, detached, capsys):
    """Who is impatient and asks again waits for the same end."""
    assert detached(run, "SLOW_TO_STOP") == 0
    first = threading.Thread(
        target=subprocess.run,
        args=([*up(run)[:1], "-m", "entrypoint", "stop", *up(run)[6:8]],),
        kwargs={"env": environment()},
    )
    first.start()
    wait_for(lambda: (there := up_process.find_up(run)) and there.stopping)
    assert command("stop", run) == 0
    first.join()
    assert len(run.checkpoint_steps()) == 1
    assert "second signal" not in run.log("up").read_text()


def test_logs_follow_until_the_run_ends(run, detached, capsys):
    """Last lines of all, each with its service's name; then what comes, and the command ends with the run."""
    assert detached(run, "TRAINER", "150") == 0
    capsys.readouterr()
    assert command("logs", run, "-f") == 0
    out, err = capsys.readouterr()
    assert "up          | prepared" in out
    assert "completed at step 150" in out
    assert err == "run r is not running\n"


def test_what_is_not_running_is_said(run, capsys):
    """`stop` is content, `logs -f` does not wait; a run that is not there is an error."""
    assert command("stop", run) == command("logs", run) == 3
    run.root.mkdir()
    capsys.readouterr()
    assert command("stop", run) == 0
    assert capsys.readouterr().out == f"run r is not running: no step is saved in {run.root}\n"
    assert command("logs", run, "--follow") == 0
    assert capsys.readouterr().out == ""
