"""Two processes that have the machine in turn, so that what else it does meets both alike."""

import itertools
import math
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

POLL_SECONDS = 0.05


@dataclass
class Player:
    """A process with the processes that it starts, stopped where it is not its turn.

    `sign`: a file that it writes when it is warm. `started`; `away`: when it was stopped, from and to; Unix seconds.
    """

    command: Sequence[str]
    sign: Path
    log: Path
    started: float = 0.0
    away: list[tuple[float, float]] = field(default_factory=list)
    _process: subprocess.Popen | None = None
    _stopped_at: float = 0.0

    def start(self, environment: Mapping[str, str], folder: Path) -> None:
        self.started = time.time()
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                self.command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def has_ended(self) -> bool:
        """Raises SystemExit with its last words if that was by an error."""
        assert self._process
        code = self._process.poll()
        if code:
            raise SystemExit(f"{' '.join(self.command)}\n{self.log.read_text('utf-8', 'replace')[-6000:]}")
        return code is not None

    @property
    def is_warm(self) -> bool:
        return self.sign.exists() or self.has_ended

    def stop(self) -> None:
        if not self.has_ended:
            self._send(signal.SIGSTOP)
            self._stopped_at = time.time()

    def go_on(self) -> None:
        if self._stopped_at:
            self.away.append((self._stopped_at, time.time()))
            self._stopped_at = 0.0
            self._send(signal.SIGCONT)

    def wait(self) -> None:
        while not self.has_ended:
            time.sleep(POLL_SECONDS)

    def kill(self) -> None:
        if self._process and self._process.poll() is None:
            self._send(signal.SIGKILL)
            self._process.wait()

    def _send(self, number: int) -> None:
        assert self._process
        os.killpg(self._process.pid, number)


def play(players: Sequence[Player], environment: Mapping[str, str], folder: Path, turn_seconds: float) -> float:
    """Starts each until it is warm, one after the other; then all go on in turn until one ends, then the rest.

    With `turn_seconds` 0 each is run to its end alone. Returns when the first of them ended, Unix seconds: what the
    others do from then on, they do alone; infinity where all were.
    """
    try:
        if not turn_seconds:
            for player in players:
                player.start(environment, folder)
                player.wait()
            return math.inf
        for player in players:
            player.start(environment, folder)
            while not player.is_warm:
                time.sleep(POLL_SECONDS)
            player.stop()
        for player in itertools.cycle(players):
            player.go_on()
            until = time.monotonic() + turn_seconds
            while time.monotonic() < until and not player.has_ended:
                time.sleep(POLL_SECONDS)
            if player.has_ended:
                break
            player.stop()
        ended = time.time()
        for player in players:
            player.go_on()
            player.wait()
        return ended
    finally:
        for player in players:
            player.kill()
