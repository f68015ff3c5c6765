"""What is said of a host before anything is installed on it."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_host import L4, MadeUpHost

from app.machine import host_doctor

ROOT = Path(__file__).parents[3]
OLDEST_PYTHON = (3, 9)


@pytest.fixture
def made_up(tmp_path) -> MadeUpHost:
    return MadeUpHost(tmp_path)


def found(made_up: MadeUpHost) -> dict[str, tuple[str, str]]:
    """State and text with remedy of each check, by name."""
    return {check.name: (check.state, str(check)) for check in host_doctor.diagnose(made_up.host()).checks}


def bad(made_up: MadeUpHost) -> dict[str, str]:
    """The states that are not ok."""
    return {name: state for name, (state, _) in found(made_up).items() if state != "ok"}


def test_a_host_that_has_all_is_ok(made_up):
    """Every check is made, and none complains."""
    assert bad(made_up) == {}
    checks = found(made_up)
    assert list(checks) == [
        "system", "clock", "cgroups", "memory", "gpu", "engine", "compose", "buildx", "compose files",
        "container toolkit", "disk for images", "port",
    ]  # fmt: skip
    assert "L4" in checks["gpu"][1] and "570.86.15" in checks["gpu"][1]
    assert host_doctor.diagnose(made_up.host()).exit_code == 0


@pytest.mark.parametrize(
    ("listed", "state", "word"),
    [
        (L4.replace("570.86.15", "470.256.02"), "fail", "too old"),
        (L4.replace("8.9", "6.1"), "fail", "no code"),
        (L4.replace("8.9", "9.0"), "ok", "first use"),
        (L4.replace("8.9", "12.0"), "warn", "reported"),
    ],
    ids=["old driver", "Pascal", "Hopper", "Blackwell"],
)
def test_the_driver_and_the_gpu_are_held_against_the_table(made_up, listed, state, word):
    """The one of gpus.py."""
    made_up.command("nvidia-smi", listed)
    assert found(made_up)["gpu"][0] == state and word in found(made_up)["gpu"][1]


def test_a_gpu_without_a_driver_is_seen(made_up):
    """By its PCI device; nouveau in the driver's place is named."""
    made_up.without("nvidia-smi")
    made_up.write("/sys/module/nouveau/version", "")
    state, text = found(made_up)["gpu"]
    assert state == "fail" and "nouveau" in text
    assert found(made_up)["compose files"][0] == "fail"


def test_what_nvidia_smi_complains_of_is_told(made_up):
    """As after an upgrade without a restart."""
    made_up.command("nvidia-smi", "Failed to initialize NVML: Driver/library version mismatch\n", code=18)
    state, text = found(made_up)["gpu"]
    assert state == "fail" and "version mismatch" in text and "restart" in text


def test_a_host_without_a_gpu_needs_the_other_files(made_up):
    """No toolkit is asked for; with compose.cpu.yaml all is well."""
    shutil.rmtree(made_up.root / "sys" / "bus")
    made_up.without("nvidia-smi", "nvidia-ctk", "nvidia-container-runtime-hook")
    assert bad(made_up) == {"compose files": "fail"}
    assert "compose.cpu.yaml" in found(made_up)["compose files"][1]
    del made_up.trainer["deploy"]
    assert bad(made_up) == {}


@pytest.mark.parametrize(
    ("version", "active", "state", "word"),
    [
        ("", "", "fail", "apt-get install nvidia-fabricmanager-570"),
        ("Fabric Manager version is : 570.86.10\n", "active\n", "fail", "570.86.15"),
        ("Fabric Manager version is : 570.86.15\n", "inactive\n", "fail", "systemctl enable --now"),
        ("Fabric Manager version is : 570.86.15\n", "active\n", "ok", "570.86.15"),
    ],
    ids=["none", "another version", "stopped", "runs"],
)
def test_nvswitches_need_their_fabric_manager(made_up, version, active, state, word):
    """Of the driver's version, and running."""
    made_up.device("0x068000")
    if version:
        made_up.command("nv-fabricmanager", version)
    made_up.command("systemctl", active, code=0 if active == "active\n" else 3)
    assert found(made_up)["fabric manager"][0] == state and word in found(made_up)["fabric manager"][1]


def test_a_wrong_clock_is_told(made_up):
    """Before the clone was made, or not synchronized."""
    assert host_doctor.check_clock(made_up.host(), now=1e9).state == "fail"
    made_up.command("timedatectl", "no\n")
    assert found(made_up)["clock"][0] == "warn"


@pytest.mark.parametrize(
    ("folder", "membership", "names"),
    [
        ("/sys/fs/cgroup/memory/vm", "4:memory:/vm\n", ("memory.limit_in_bytes", "memory.usage_in_bytes")),
        ("/sys/fs/cgroup/vm", "0::/vm\n", ("memory.max", "memory.current")),
    ],
    ids=["v1", "v2"],
)
def test_a_limit_of_a_cgroup_is_the_memory(made_up, folder, membership, names):
    """Of either version."""
    if "memory/" in folder:
        (made_up.root / "sys/fs/cgroup/cgroup.controllers").unlink()
    made_up.write("/proc/self/cgroup", membership)
    for name, size in zip(names, (4_000_000_000, 3_000_000_000), strict=True):
        made_up.write(f"{folder}/{name}", f"{size}\n")
    state, text = found(made_up)["memory"]
    assert state == "warn" and text.startswith("1.0 of 4.0 GB free, by the limit of a cgroup")
    assert ("version 1" if "memory/" in folder else "version 2") in found(made_up)["cgroups"][1]


def test_in_a_container_it_is_said_that_this_is_not_the_host(made_up):
    """`docker compose run trainer doctor --host` sees the container."""
    made_up.write("/.dockerenv", "")
    assert found(made_up)["system"][0] == "warn"


def modules_loaded() -> list[Path]:
    """The files of ours that scripts/doctor-host reads."""
    code = "import sys, app.machine.host_doctor\nprint(*(m.__file__ for n, m in sys.modules.items() if n[:3] == 'app'))"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(name) for name in done.stdout.split()]


def test_it_needs_no_package():
    """A host has Python, and none of what detbox installs; not even a Python as new as detbox' own."""
    files = modules_loaded()
    assert ROOT / "app" / "machine" / "host_doctor.py" in files
    for file in files:
        source = file.read_text(encoding="utf-8")
        ast.parse(source, feature_version=OLDEST_PYTHON)
        assert " | " not in source or "from __future__ import annotations" in source or file.name in OF_NO_UNIONS


OF_NO_UNIONS = ("terminal_text.py", "humanize.py")
"""In these, only functions that are not called here have `|` between types."""


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_the_script_runs_on_a_bare_host(arguments, tmp_path):
    """With nothing but Python and a shell: no engine is a failure that is told, whatever else there is."""
    for name in ("python3", "bash", "env", "dirname"):
        (tmp_path / name).symlink_to(sys.executable if name == "python3" else shutil.which(name))
    script = str(ROOT / "scripts" / "doctor-host")
    done = subprocess.run([script, *arguments], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    if arguments:
        states = {check["name"]: check["state"] for check in json.loads(done.stdout)["checks"]}
        assert states["engine"] == "fail" and "memory" in states
    else:
        assert "docker is not installed" in done.stdout


def test_an_unknown_argument_is_refused(capsys):
    """With exit code 2, as detbox does."""
    assert host_doctor.main(["--jsno"]) == 2
    assert "--json" in capsys.readouterr().err


def test_a_terminal_is_not_steered(made_up, capsys, monkeypatch):
    """What programs of the host say is escaped."""
    made_up.command("nvidia-smi", "\x1b[31mbroken\n", code=9)
    monkeypatch.setattr(host_doctor, "Host", made_up.host)
    assert host_doctor.main([]) == 1
    assert "\x1b" not in capsys.readouterr().out
