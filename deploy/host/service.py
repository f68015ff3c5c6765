"""The service of a VM: prepares the machine, runs the compose project to its end, then does what is to be done.

What systemd starts at each boot (detbox.service). A VM that was preempted goes on by it; a stop, by systemd or
before the machine goes down, saves the step and is no end.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

CLONE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CLONE))

from data_disk import DiskError, find_device, mount  # noqa: E402
from env_file import read_env, run_name  # noqa: E402

ENV_FILE = Path(os.environ.get("DETBOX_ENV_FILE", "/etc/detbox/env"))
STATE = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/detbox"))
FOLDER = Path(os.environ.get("DETBOX_DISK_FOLDER", "/srv/detbox"))
COMPOSE = ["docker", "compose", "--ansi=never", "--progress=plain"]
PAUSES = tuple(float(text) for text in os.environ.get("DETBOX_PAUSES", "30,60,120,240").split(","))
"""Seconds before another try of a start that failed; after the last, it has failed for good."""
STOPPED = {129, 130, 143}
"""Exit codes of services that somebody has stopped."""
NO_RETRY = {2, 3, 4, 5, 7}
"""Exit codes of `prepare` that stay what they are: docs/operations.md, `Exit codes`."""
STOP_SECONDS = 25


class Stop(BaseException):
    """SIGTERM: the machine goes down, or `systemctl stop`."""


class StartError(Exception):
    """A start failed; another may not."""


def main() -> int:
    """The exit code of the run; 0 if it was stopped by hand, 143 if by SIGTERM."""
    signal.signal(signal.SIGTERM, _stop)
    env = read_env(ENV_FILE)
    try:
        if has_ended():
            say("the run has ended, and was told so before: only TensorBoard is started")
            say(f"to go on: change {ENV_FILE}, or remove {marker()}; then systemctl restart detbox")
            return compose("up", "--detach", "--no-deps", "tensorboard")
        code = run_to_end(env)
        if code in STOPPED:
            say("stopped by hand, or because the cloud takes the machine")
            say("the next boot goes on, or systemctl restart detbox")
            return 0
        say(f"the run has ended with exit code {code}")
        finish(env, code)
        return code
    except Stop:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say("stopping: the trainer saves its step")
        compose("stop", f"--timeout={STOP_SECONDS}")
        return 128 + signal.SIGTERM


def run_to_end(env: Mapping[str, str]) -> int:
    """Starts it, again where a try may help, and waits. Its exit code; that of the last start if none works."""
    for pause in (*PAUSES, None):
        try:
            prepare_machine(env)
            if (code := start()) is not None:
                return code
            return wait()
        except (StartError, DiskError) as error:
            say(str(error), f"again in {pause:.0f} s" if pause is not None else "given up")
        if pause is not None:
            time.sleep(pause)
    return 1


def prepare_machine(env: Mapping[str, str]) -> None:
    """The disk, the folders, the data, the login to a registry. Raises StartError, DiskError."""
    if disk := env.get("DETBOX_DATA_DISK"):
        mount(find_device(disk), FOLDER)
    data = CLONE / (env.get("DETBOX_DATA_DIR") or "data")
    data.mkdir(parents=True, exist_ok=True)
    for name in ("MODELS_VOLUME", "RESULTS_DIR"):
        if "/" in env.get(name, ""):  # else a volume
            (CLONE / env[name]).mkdir(parents=True, exist_ok=True)
            os.chown(CLONE / env[name], int(env.get("UID") or 1000), int(env.get("GID") or 1000))
    if login := env.get("DETBOX_LOGIN"):
        shell(login, "DETBOX_LOGIN")
    if copy := env.get("DETBOX_DATA_COPY"):
        copied = data.parent / f".{data.name}-copied-by-{hashlib.sha256(copy.encode()).hexdigest()[:12]}"
        if not copied.exists():
            say(f"copying data to {data}")
            shell(copy, "DETBOX_DATA_COPY", DATA=str(data))
            copied.touch()


def start() -> int | None:
    """None if it runs; an exit code of `prepare` that no other try changes. Raises StartError for what one may."""
    before = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    if (code := compose("up", "--detach")) == 0:
        return None
    for number in containers("prepare"):
        done = output("docker", "inspect", "--format={{.State.ExitCode}} {{.State.StartedAt}}", number)
        ended, _, started = done.partition(" ")
        if ended.isdigit() and int(ended) in NO_RETRY and started >= before:
            return int(ended)
    raise StartError(f"`docker compose up` failed with exit code {code}")


def wait() -> int:
    """Waits for trainer and evaluator. Raises StartError if the engine does not say how they ended."""
    numbers = [*containers("trainer"), *containers("evaluator")]
    codes = [int(word) for word in output("docker", "wait", *numbers).split()] if numbers else []
    if len(codes) < 2:
        raise StartError("the engine does not say how the services ended")
    return next((code for code in codes if code in STOPPED), None) or next((code for code in codes if code), 0)


def finish(env: Mapping[str, str], code: int) -> None:
    """Does what DETBOX_WHEN_DONE says, once for these settings: a machine that is started later is not ended again."""
    command, name = env.get("DETBOX_WHEN_DONE", ""), run_name(env)
    if not command:
        return
    STATE.mkdir(parents=True, exist_ok=True)
    ended = {"settings": settings_hash(), "exit_code": code, "run": name}
    marker().write_text(json.dumps(ended) + "\n", encoding="utf-8")
    for _ in range(3):
        try:
            if command == "poweroff":
                return shell("systemctl poweroff", "DETBOX_WHEN_DONE")
            return shell(command, "DETBOX_WHEN_DONE", DETBOX_EXIT_CODE=str(code), RUN=name)
        except StartError as error:
            say(str(error))
            time.sleep(PAUSES[0])


def marker() -> Path:
    """Where it is written down that a run has ended."""
    return STATE / "ended.json"


def has_ended() -> bool:
    """Whether the run of these settings has ended, and DETBOX_WHEN_DONE was done for it."""
    try:
        return bool(json.loads(marker().read_text(encoding="utf-8"))["settings"] == settings_hash())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def settings_hash() -> str:
    return hashlib.sha256(ENV_FILE.read_bytes() if ENV_FILE.exists() else b"").hexdigest()


def containers(service: str) -> list[str]:
    """The newest container of a service, as a list that is empty without one."""
    return output(*COMPOSE, "ps", "--all", "--quiet", service).split()[:1]


def compose(*words: str) -> int:
    """Runs a compose command in the clone; its output goes to the journal."""
    return subprocess.run([*COMPOSE, *words], cwd=CLONE).returncode


def output(*argv: str) -> str:
    """What a command prints; empty if it fails."""
    done = subprocess.run(argv, cwd=CLONE, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def shell(command: str, name: str, **environ: str) -> None:
    """Runs a command of /etc/detbox/env. Raises StartError if it fails."""
    done = subprocess.run(["sh", "-c", command], cwd=CLONE, env={**os.environ, **environ})
    if done.returncode:
        raise StartError(f"{name} failed with exit code {done.returncode}")


def say(*parts: str) -> None:
    print("detbox:", "; ".join(parts), flush=True)


def _stop(number: int, frame: object) -> None:
    raise Stop


if __name__ == "__main__":
    sys.exit(main())
