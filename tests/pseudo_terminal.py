"""A process in a pseudo-terminal of its own, whose other end can be closed."""

import os
import pty
import select
import time
from collections.abc import Callable, Mapping, Sequence


class PseudoTerminal:
    """Runs `argv` as the leader of a session on a new terminal; `screen` is what it has shown so far."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], cwd: str | os.PathLike[str] = "."):
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execve(argv[0], list(argv), dict(environ))
        self.screen = ""
        self._code: int | None = None

    def type(self, text: str) -> None:
        """Types `text`."""
        os.write(self._master, text.encode())

    def show_until(self, condition: Callable[[], object], seconds: float = 10) -> None:
        """Shows what the process writes until `condition` holds; fails the test if it does not in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"nothing happened in time; the screen: {self.screen[-2000:]}"
            if select.select([self._master], [], [], 0.05)[0]:
                try:
                    self.screen += os.read(self._master, 65536).decode(errors="replace")
                except OSError:  # The process has ended.
                    time.sleep(0.05)

    def close(self) -> None:
        """Closes the terminal under its processes, as a window or a lost connection does."""
        os.close(self._master)

    def code(self) -> int | None:
        """The exit code as a shell gives it, None while the process runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self._code = 128 - code if code < 0 else code
        return self._code
