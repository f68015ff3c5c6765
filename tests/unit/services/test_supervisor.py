"""The supervisor, with programs of a few lines in place of the services."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import fake_services as fake
import psutil
import pytest
from fake_services import service, wait_for
from refusals import refused

from app.errors import Preempted, ServiceError, StalledError, Stopped
from app.machine import out_of_memory
from app.machine.preemption import Notice
from app.run.directory import Run
from app.services import run_state, trio
from app.services.supervisor import Supervisor

METRIC = "DetectionBoxes_Precision/mAP"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def run(tmp_path):
    """An empty run directory."""
    return Run(tmp_path / "r")


@pytest.fixture
def told():
    """What the supervisor said."""
    return []


def later(condition, *numbers, gap=0.6):
    """Sends this process the signals, `gap` seconds apart, as soon as `condition` holds."""

    def send():
        wait_for(condition)
        for number in numbers:
            os.kill(os.getpid(), number)
            time.sleep(gap)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def supervise(services, told, **options):
    """Runs `services`; whatever happens, none of them may be left."""
    try:
        Supervisor(services, **options).run(lambda: None, told.append)
    finally:
        assert [one.name for one in services if one.is_running()] == []


def test_a_run_to_its_end(run, told):
    """Trainer and evaluator end by themselves, TensorBoard is then stopped, and the run is all there."""
    board = service(run, "tensorboard", fake.FOREVER, "tb", essential=False)
    trainer = service(run, "trainer", fake.TRAINER, 5, 0.02)
    evaluator = service(run, "evaluator", fake.EVALUATOR)
    supervise([trainer, evaluator, board], told)
    assert (trainer.code, evaluator.code, board.code, board.stopped) == (0, 0, 143, True)
    assert told == []
    assert run_state.is_finished(run)
    assert run_state.read_run_state(run, METRIC).best == run_state.Score(5, 0.31)


def test_a_crash_stops_the_others_and_gives_its_code(run, told):
    """The trainer's exit code and last lines are reported; the evaluator, which would wait for ever, ends."""
    evaluator = service(run, "evaluator", fake.EVALUATOR)
    with pytest.raises(ServiceError) as caught:
        supervise([service(run, "trainer", fake.CRASH), evaluator], told)
    assert caught.value.exit_code == 6
    assert "loss is not finite at step 3" in caught.value.what
    assert str(run.log("trainer")) in caught.value.remedy
    assert "trainer: a line before" in told
    assert evaluator.stopped


def test_stalled_trainer_is_started_again_a_bounded_number_of_times(run, told):
    """Each start again is said in a line; the last failure gives its code."""
    with pytest.raises(ServiceError) as caught:
        supervise([service(run, "trainer", "raise SystemExit(9)")], told)
    assert caught.value.exit_code == StalledError.exit_code
    assert [line[-14:] for line in told if "restart" in line] == [f"restart {n} of 3" for n in (1, 2, 3)]


def test_restarts_are_counted_anew_after_progress(run, told):
    """A stall a month is no reason to give up; three without a checkpoint between them are."""
    run.root.mkdir()
    count = run.root / "count"
    program = (
        "import sys; from pathlib import Path; p = Path(sys.argv[1]) / 'count';"
        "n = len(p.read_text()) if p.exists() else 0; p.write_text('x' * (n + 1)); sys.exit(9)"
    )
    with pytest.raises(ServiceError):
        supervise(
            [service(run, "trainer", program)], told, progress=lambda: count.exists() and len(count.read_text()) >= 3
        )
    assert [line[-14:] for line in told if "restart" in line] == [f"restart {n} of 3" for n in (1, 2, 1, 2, 3)]


def test_stopped_service_is_ended_and_started_again(run, told):
    """SIGSTOP for good: its stacks are in its log, and the next one does the work."""
    trainer = service(run, "trainer", fake.LIVING, 2, silent_secs=2)
    pids = run.root / "pids"

    def stop():
        wait_for(lambda: pids.exists() and pids.read_text())
        os.kill(int(pids.read_text()), signal.SIGSTOP)

    thread = threading.Thread(target=stop)
    run.root.mkdir()
    thread.start()
    supervise([trainer], told)
    thread.join()
    first, second = map(int, pids.read_text().split())
    assert first != second
    assert not alive(first)
    assert trainer.code == 0
    assert "stopped, as by SIGSTOP: no sign of life for 2 s" in told[0]
    assert told[1].endswith("restart 1 of 3")
    assert "in work" in run.log("trainer").read_text()


def test_living_service_is_left_alone(run, told):
    """However long it makes no progress: that is the watchdog's."""
    trainer = service(run, "trainer", fake.LIVING, 1, silent_secs=1)
    trainer.argv = [*trainer.argv[:2], trainer.argv[2].replace("    work()", "    time.sleep(4)"), *trainer.argv[3:]]
    run.root.mkdir()
    supervise([trainer], told)
    assert told == []


def test_stopped_service_saves_when_all_is_ended(run, told):
    """Ctrl-C at a trainer that is stopped has it go on to save its step."""
    trainer = service(run, "trainer", fake.TRAINER, 1000, 0.02)

    def is_under_way():
        if run_state.read_run_state(run, METRIC).step < 3:
            return False
        os.kill(trainer.process.pid, signal.SIGSTOP)
        return True

    thread = later(is_under_way, signal.SIGTERM)
    with pytest.raises(Stopped):
        supervise([trainer], told)
    thread.join()
    assert len(run.checkpoint_steps()) == 1


KILLED = "import os; os.kill(os.getpid(), 9)"


def test_death_by_a_signal_is_a_failure(run, told):
    """A trainer that someone kills gives 137."""
    with pytest.raises(ServiceError) as caught:
        supervise([service(run, "trainer", KILLED)], told)
    assert caught.value.exit_code == 137


def test_a_kill_for_memory_is_told_by_the_kernels_count(run, told, monkeypatch):
    """Exit code 7, with what takes less; also where the process itself could say no more than a line."""
    trainer = service(run, "trainer", KILLED)
    trainer.smaller = lambda: "a smaller --batch_size"
    counts = iter([3, 4])
    monkeypatch.setattr(out_of_memory, "count_kills", lambda: next(counts, 4))
    with refused(ServiceError, flag="--batch_size", about="ran out of memory") as caught:
        supervise([trainer], told)
    assert caught.value.exit_code == 7
    program = "import os; print('terminate called: std::bad_alloc', flush=True); os.abort()"
    with refused(ServiceError, about="std::bad_alloc") as caught:
        supervise([service(run, "trainer", program)], told)
    assert caught.value.exit_code == 7


@pytest.mark.parametrize(("message", "code"), [("'port taken'", 1), ("print('port taken')", 0)])
def test_losing_tensorboard_does_not_end_training(run, told, message, code):
    """It is reported once, with the last line, whatever its code, and training goes on to its end."""
    board = service(run, "tensorboard", f"raise SystemExit({message})", essential=False)
    trainer = service(run, "trainer", fake.TRAINER, 10, 0.1)
    supervise([trainer, board], told)
    assert trainer.code == 0
    assert len(told) == 1
    assert f"tensorboard ended with code {code}: port taken" in told[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_trainer_save(run, told, number):
    """The trainer gets the signal, saves its step and ends, as all else; the code is the signal's."""
    trainer = service(run, "trainer", fake.TRAINER, 1000, 0.02)
    evaluator = service(run, "evaluator", fake.EVALUATOR)
    handler = signal.getsignal(number)
    thread = later(lambda: run_state.read_run_state(run, METRIC).step >= 3, number)
    with pytest.raises(Stopped) as caught:
        supervise([trainer, evaluator], told)
    thread.join()
    assert caught.value.exit_code == 128 + number
    assert len(run.checkpoint_steps()) == 1
    assert 3 <= run.checkpoint_steps()[0] < 1000
    assert trainer.code == 128 + number
    assert signal.getsignal(number) is handler


def test_the_saved_step_is_told(run, capsys):
    """What `up` says after Ctrl-C names the step and how to go on."""
    trainer = service(run, "trainer", fake.TRAINER, 1000, 0.02)
    thread = later(lambda: run_state.read_run_state(run, METRIC).step >= 3, signal.SIGINT)
    with pytest.raises(Stopped) as caught:
        trio.run_services(run, [trainer], metric=METRIC, host="127.0.0.1", port=1)
    thread.join()
    (step,) = run.checkpoint_steps()
    assert f"SIGINT: step {step} is saved in {run.root}" in str(caught.value)
    assert f"step {step}/1000" in capsys.readouterr().err


def test_a_second_signal_kills(run, told):
    """Who presses Ctrl-C twice does not wait for the end of the grace period."""
    pid = run.root / "stubborn.pid"
    run.root.mkdir()
    thread = later(pid.exists, signal.SIGTERM, signal.SIGTERM)
    start = time.monotonic()
    with pytest.raises(Stopped):
        supervise([service(run, "trainer", fake.STUBBORN)], told, grace=60)
    thread.join()
    assert time.monotonic() - start < 20
    assert told[-1] == "killed by a second signal"


def test_the_grace_period_ends(run, told):
    """A trainer that does not stop is killed after the grace period, and that is told."""
    run.root.mkdir()
    thread = later((run.root / "stubborn.pid").exists, signal.SIGTERM)
    with pytest.raises(Stopped):
        supervise([service(run, "trainer", fake.STUBBORN)], told, grace=1)
    thread.join()
    assert told[-1] == "killed after 1 s: trainer"


NOTICE = Notice("GCE", "takes this machine", None)


def test_a_notice_of_preemption_has_all_save(run, told):
    """The trainer saves its step; SIGTERM meanwhile, as from a machine that shuts down, does not cut that short."""
    trainer = service(run, "trainer", fake.SLOW_TO_STOP)
    is_seen = []

    def notice():
        if run_state.read_run_state(run, METRIC).step >= 3:
            is_seen.append(1)
        return NOTICE if is_seen else None

    thread = later(lambda: is_seen, signal.SIGTERM, signal.SIGTERM)
    with pytest.raises(Preempted) as caught:
        supervise([trainer, service(run, "evaluator", fake.EVALUATOR)], told, preemption=notice)
    thread.join()
    assert len(run.checkpoint_steps()) == 1
    assert (caught.value.exit_code, caught.value.what) == (143, "preempted: GCE takes this machine")
    assert told[0] == caught.value.what
    assert not [line for line in told if "killed" in line]


@pytest.mark.parametrize(("number", "error"), [(signal.SIGTERM, Preempted), (signal.SIGINT, Stopped)])
def test_sigterm_before_the_notice_is_preemption_too(run, told, number, error):
    """A machine that is shut down and taken: whichever is quicker. Ctrl-C stays Ctrl-C."""
    sent = []
    trainer = service(run, "trainer", fake.TRAINER, 1000, 0.02)
    thread = later(lambda: run_state.read_run_state(run, METRIC).step >= 3, number)
    with pytest.raises(Stopped) as caught:
        supervise([trainer], told, preemption=lambda: NOTICE if sent else None, on_stop=lambda: sent.append(1))
    thread.join()
    assert type(caught.value) is error


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PR_SET_PDEATHSIG is Linux's")
def test_children_end_with_a_killed_supervisor(run):
    """SIGKILL, which nobody can handle, leaves no orphan on the GPU."""
    run.root.mkdir()
    program = (
        "import sys; from pathlib import Path; import fake_services as fake; from app.run.directory import Run;"
        "from app.services.supervisor import Supervisor; run = Run(Path(sys.argv[1]));"
        "Supervisor([fake.service(run, n, fake.FOREVER, n) for n in ('a', 'b')]).run(lambda: None, print)"
    )
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{Path(__file__).parents[1]}"}
    parent = subprocess.Popen([sys.executable, "-c", program, str(run.root)], env=environ)
    files = [run.root / f"forever-{name}.pid" for name in ("a", "b")]
    wait_for(lambda: all(file.exists() and file.read_text() for file in files))
    pids = [int(file.read_text()) for file in files]
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(alive(pid) for pid in pids))


def alive(pid):
    """Whether the process is there and no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_last_lines_are_of_this_start(run, told):
    """A log from an earlier start is kept, and not taken for this one's."""
    run.logs.mkdir(parents=True)
    run.log("trainer").write_text("detbox: error: of yesterday\n")
    with pytest.raises(ServiceError) as caught:
        supervise([service(run, "trainer", "raise SystemExit(3)")], told)
    assert "yesterday" not in caught.value.what
    assert run.log("trainer").read_text().startswith("detbox: error: of yesterday")


def test_evaluator_sees_no_gpu(run):
    """Only the evaluator's environment hides the GPUs."""
    hidden = {one.name: one.environ.get("CUDA_VISIBLE_DEVICES") for one in trio.make_services(run, {"A": "1"})}
    assert hidden == {"trainer": None, "evaluator": "-1", "tensorboard": None}


def test_a_users_own_app_folder_is_not_taken_for_ours(run, tmp_path, monkeypatch):
    """A service starts in a folder that holds another `app`, as a Flask project does."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("raise SystemExit('the wrong app')")
    monkeypatch.chdir(tmp_path)
    trainer, *_ = trio.make_services(run, {"PATH": os.environ["PATH"]})
    done = subprocess.run([*trainer.argv, "--help"], env=trainer.environ, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("done", "evaluated", "steps", "finished"),
    [
        (None, [100], 0, False),
        ({"step": 100, "reason": "completed"}, [50], 0, False),
        ({"step": 100, "reason": "completed"}, [50, 100], 0, True),
        ({"step": 100, "reason": "completed"}, [100], 100, True),
        ({"step": 100, "reason": "completed"}, [100], 200, False),
        ({"step": 60, "reason": "early-stopped"}, [60], 100, True),
    ],
)
def test_when_a_run_is_finished(run, done, evaluated, steps, finished):
    """Training has ended, the last checkpoint is evaluated, and no more steps are asked for."""
    from app.run.files import append_line, write_json

    if done:
        write_json(run.done, done)
    for step in evaluated:
        append_line(run.evaluations, {"step": step, "metrics": {}})
    assert run_state.is_finished(run, steps) is finished
