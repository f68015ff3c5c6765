"""A VM that is made up: deploy/host/service.py with programs that note how they were called, and answer as told."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
SERVICE = ROOT / "deploy" / "host" / "service.py"
DOCKER = """
case "$*" in
  *" up --detach"*) read -r code rest <"$VM/up"; sed -i '1{$!d}' "$VM/up"; exit "$code";;
  *" ps --all --quiet "*) eval "name=\\${$#}"; [ ! -e "$VM/no-$name" ] && echo "$name-id";;
  "inspect "*) cat "$VM/prepare";;
  "wait "*) while [ -e "$VM/busy" ]; do sleep 0.05; done; cat "$VM/codes";;
esac
exit 0
"""


class MadeUpVm:
    """`up`: exit codes of one start after the other. `codes`: of trainer and evaluator. `prepare`: code and start."""

    def __init__(self, folder: Path):
        self.folder, self.bin, self.state = folder, folder / "bin", folder / "state"
        self.calls, self.env_file = folder / "calls", folder / "env"
        self.bin.mkdir()
        self.answer(up="0", codes="0\n0", prepare="0 2000-01-01T00:00:00Z")
        for name in ("systemctl", "mount", "mkfs.ext4"):
            self.program(name, "exit 0")
        self.program("mountpoint", "exit 1")
        self.program("docker", DOCKER)
        self.env = {"DETBOX_DATA_DIR": str(folder / "disk" / "data")}

    def answer(self, **texts: str) -> None:
        for name, text in texts.items():
            (self.folder / name).write_text(f"{text}\n")

    def program(self, name: str, script: str) -> None:
        """One that writes its name and arguments down first."""
        (self.bin / name).write_text(f'#!/bin/sh\necho "{name} $*" >>"$VM/calls"\n{script}\n')
        (self.bin / name).chmod(0o755)

    def start(self) -> subprocess.Popen:
        self.env_file.write_text("".join(f"{name}='{text}'\n" for name, text in self.env.items()))
        self.calls.write_text("")
        environ = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "VM": str(self.folder),
            "DETBOX_ENV_FILE": str(self.env_file),
            "STATE_DIRECTORY": str(self.state),
            "DETBOX_DISK_FOLDER": str(self.folder / "disk"),
            "DETBOX_PAUSES": "0.05,0.05",
        }
        return subprocess.Popen(
            [sys.executable, "-S", SERVICE], env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def run(self) -> tuple[int, str]:
        """Exit code and all that it said."""
        service = self.start()
        said, _ = service.communicate(timeout=60)
        return service.returncode, said

    def stop(self, service: subprocess.Popen) -> tuple[int, str]:
        """As systemd does; once it waits for the run's end."""
        deadline = time.monotonic() + 30
        while "docker wait" not in self.calls.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        service.send_signal(signal.SIGTERM)
        said, _ = service.communicate(timeout=60)
        return service.returncode, said

    def called(self, words: str) -> int:
        """How often a program was called with these words."""
        return sum(words in line for line in self.calls.read_text().splitlines())
