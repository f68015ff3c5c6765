"""The service of a VM, from the boot to what is done at the end."""

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from made_up_vm import ROOT, MadeUpVm

from app.compose_variables import NOT_SETTINGS
from app.environment import load
from app.errors import SettingsError

POWEROFF = {"DETBOX_WHEN_DONE": "poweroff"}
UNIT = (ROOT / "deploy" / "host" / "detbox.service").read_text()


@pytest.fixture
def vm(tmp_path) -> MadeUpVm:
    return MadeUpVm(tmp_path)


@pytest.mark.parametrize(
    ("codes", "code"), [("0\n0", 0), ("6\n6", 6), ("7\n0", 7), ("0\n1", 1), ("137\n137", 137)], ids=repr
)
def test_the_machine_is_powered_off_at_the_end(vm, codes, code):
    """Done or failed for good; the exit code is the trainer's, else the evaluator's."""
    vm.env |= POWEROFF
    vm.answer(codes=codes)
    assert vm.run()[0] == code
    assert vm.called("systemctl poweroff") == 1
    assert vm.called("docker wait trainer-id evaluator-id") == 1


def test_without_a_wish_the_machine_stays(vm):
    """TensorBoard can be looked at; the next boot does the same."""
    assert vm.run()[0] == 0 and vm.called("systemctl") == 0
    vm.run()
    assert vm.called("up --detach") == 1 and vm.called("tensorboard") == 0


@pytest.mark.parametrize("codes", ["143\n143", "0\n143", "143\n0", "130\n130"])
def test_a_stop_by_hand_is_no_end(vm, codes):
    """`docker compose stop`: neither is the machine ended, nor the service a failure."""
    vm.env |= POWEROFF
    vm.answer(codes=codes)
    code, said = vm.run()
    assert (code, vm.called("systemctl poweroff")) == (0, 0) and "systemctl restart detbox" in said


def test_a_machine_that_goes_down_saves_and_comes_back(vm):
    """SIGTERM, as at a preemption: the project is stopped, nothing is ended, the next boot goes on."""
    vm.env |= POWEROFF
    vm.answer(busy="")
    assert vm.stop(vm.start())[0] == 143
    assert vm.called(" stop --timeout=25") == 1 and vm.called("systemctl poweroff") == 0
    (vm.folder / "busy").unlink()
    assert vm.run()[0] == 0 and vm.called("up --detach") == 1 and vm.called("systemctl poweroff") == 1


def test_a_machine_that_is_started_after_the_end_stays(vm):
    """For its results: only TensorBoard comes up, until the settings are others."""
    vm.env |= POWEROFF
    vm.run()
    assert json.loads((vm.state / "ended.json").read_text())["exit_code"] == 0
    code, said = vm.run()
    assert code == 0 and "ended.json" in said
    assert vm.called("up --detach --no-deps tensorboard") == 1 and vm.called("systemctl poweroff") == 0
    vm.env["DETBOX_NUM_TRAIN_STEPS"] = "9000"
    vm.run()
    assert vm.called("systemctl poweroff") == 1


@pytest.mark.parametrize(
    ("env", "run"), [({}, "sample"), ({"DETBOX_DATASET": "data/red wheels"}, "red-wheels"), ({"DETBOX_RUN": "r"}, "r")]
)
def test_a_command_has_code_and_run(vm, env, run):
    """In its environment; one that fails is tried again."""
    command = 'echo "$RUN $DETBOX_EXIT_CODE" >>"$VM/told"; [ "$(wc -l <"$VM/told")" = 2 ]'
    vm.env |= {"DETBOX_WHEN_DONE": command, **env}
    vm.answer(codes="6\n6")
    assert vm.run()[0] == 6
    assert (vm.folder / "told").read_text() == f"{run} 6\n" * 2


def test_a_start_that_fails_is_tried_again(vm):
    """A registry or an engine that is not there yet."""
    vm.answer(up="1\n1\n0")
    code, said = vm.run()
    assert code == 0 and vm.called("up --detach") == 3 and said.count("again in") == 2


def test_starts_that_all_fail_are_an_end(vm):
    """Bounded: a machine that bills is not left alone with it."""
    vm.env |= POWEROFF
    vm.answer(up="18")
    code, said = vm.run()
    assert code == 1 and vm.called("up --detach") == 3 and "given up" in said
    assert vm.called("systemctl poweroff") == 1


@pytest.mark.parametrize(("age", "code", "starts"), [(-1, 4, 1), (1, 1, 3)], ids=["now", "of an earlier start"])
def test_what_prepare_refuses_is_not_tried_again(vm, age, code, starts):
    """Its exit code is the run's, if it is that of this start."""
    started = datetime.now(UTC) - timedelta(hours=age)
    vm.answer(up="1", prepare=f"4 {started.isoformat().replace('+00:00', 'Z')}")
    assert vm.run()[0] == code and vm.called("up --detach") == starts


def test_an_engine_that_does_not_say_how_it_ended_is_asked_again(vm):
    """It was restarted meanwhile: the project is started again, and found as it is."""
    vm.answer(codes="")
    assert vm.run()[0] == 1 and vm.called("up --detach") == 3
    vm.answer(codes="0\n0")
    assert vm.run()[0] == 0


def test_login_and_copy_come_before_the_start(vm):
    """The login each time; data once, into the folder that is /data, and again only by another command."""
    vm.env |= {"DETBOX_LOGIN": "docker login", "DETBOX_DATA_COPY": 'echo copied >>"$DATA/file"'}
    vm.run()
    calls = vm.calls.read_text()
    assert calls.index("docker login") < calls.index("up --detach")
    vm.run()
    file = vm.folder / "disk" / "data" / "file"
    assert vm.called("docker login") == 1 and file.read_text() == "copied\n"
    vm.env["DETBOX_DATA_COPY"] += " "
    vm.run()
    assert file.read_text() == "copied\n" * 2


@pytest.mark.parametrize("name", ["DETBOX_LOGIN", "DETBOX_DATA_COPY"])
def test_nothing_starts_without_login_and_data(vm, name):
    """Both are tried again, too."""
    vm.env[name] = "exit 5"
    code, said = vm.run()
    assert code == 1 and vm.called("docker") == 0 and said.count(f"{name} failed with exit code 5") == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as the service has it")
def test_folders_of_runs_belong_to_the_user_of_the_containers(vm):
    """Else the engine makes them, for root alone; a volume is the engine's."""
    runs = vm.folder / "disk" / "models"
    vm.env |= {"MODELS_VOLUME": str(runs), "RESULTS_DIR": "results", "UID": "1234", "GID": "1235"}
    assert vm.run()[0] == 0
    assert (runs.stat().st_uid, runs.stat().st_gid) == (1234, 1235)
    assert not (ROOT / "results").exists()


def test_nothing_starts_without_the_disk(vm):
    """A run would go to the boot disk, and be lost with the machine."""
    vm.env["DETBOX_DATA_DISK"] = str(vm.folder / "disk.img")
    (vm.folder / "disk.img").write_bytes(b"precious")
    vm.program("blkid", "exit 2")
    assert vm.run()[0] == 1
    assert vm.called("docker") == vm.called("mkfs") == vm.called("mount ") == 0
    (vm.folder / "disk.img").write_bytes(bytes(1 << 20))
    assert vm.run()[0] == 0
    assert vm.called("mkfs.ext4 ") == 1 and vm.called("mount ") == 1


def test_its_settings_are_known_to_detbox(vm):
    """The containers read the same file: none of its names is refused there, and a slip is."""
    names = {"DETBOX_WHEN_DONE", "DETBOX_DATA_DISK", "DETBOX_DATA_COPY", "DETBOX_LOGIN"}
    source = "".join(path.read_text() for path in (ROOT / "deploy" / "host").glob("*.py"))
    assert names <= NOT_SETTINGS and all(name in source for name in names)
    for environ in ({}, {"DETBOX_COMPOSE": "true"}):
        load({}, dict.fromkeys(names, "x") | environ, None)
    with pytest.raises(SettingsError, match="DETBOX_WHEN_DONE"):
        load({}, {"DETBOX_WHENDONE": "poweroff"}, None)


def test_the_unit_stops_before_the_engine_and_in_time():
    """By systemd's order; compose stop, within the time that the unit has."""
    assert "After=docker.service" in UNIT and "Requires=docker.service" in UNIT and "KillMode=mixed" in UNIT
    assert "deploy/host/service.py" in UNIT


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_systemd_takes_the_unit():
    """Every key is known, and what it starts is there."""
    argv = ["systemd-analyze", "verify", str(ROOT / "deploy" / "host" / "detbox.service")]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert "detbox.service" not in done.stdout + done.stderr
