"""A signal that comes before a command has begun, and one that comes to a command without a way of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
STARTED = """
import sys, time
class Slow:
    def find_spec(self, name, path, target=None):
        if name == "{module}":
            print("there", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, Slow())
sys.argv = ["detbox", "status"]
from entrypoint.__main__ import main
sys.exit(main())
"""


def ended_by(number: int, module: str, *before: str) -> tuple[int, str]:
    """Exit code and stderr of `detbox status` that gets the signal while it imports `module`, which takes long."""
    argv = [*before, sys.executable, "-c", STARTED.format(module=module)]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("DETBOX_")}
    with subprocess.Popen(
        argv, env={**environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "there\n"
        process.send_signal(number)
        try:
            _, err = process.communicate(timeout=2 if before else 20)
        except subprocess.TimeoutExpired:
            process.kill()
            return 0, ""
    return process.returncode, err


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("module", ["entrypoint.process", "fire", "app.services.run_table"])
def test_a_signal_among_the_imports_ends_in_one_line(number, module):
    """No traceback, and the exit code is the signal's: among the first imports, those of Fire and of the command."""
    code, err = ended_by(number, module)
    assert (code, err.count("\n")) == (128 + number, 1)
    assert err.startswith("detbox: stopped: ")


@pytest.mark.parametrize("module", ["entrypoint.process", "app.services.run_table"])
def test_a_signal_that_is_ignored_stays_so(module):
    """As `nohup` does it."""
    assert ended_by(signal.SIGHUP, module, "/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh") == (0, "")
