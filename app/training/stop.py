"""A stop asked for from outside: by a signal, or by a file that another service wrote."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from app.errors import DetboxError, Stopped

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal that came while there was nothing to lose; `stopped` is the error to end with.

    No Exception: TensorFlow catches those while it traces a graph, and goes on.
    """

    def __init__(self, stopped: Stopped):
        super().__init__(str(stopped))
        self.stopped = stopped


class StopFlag:
    """Remembers the first SIGTERM, SIGINT or SIGHUP; before there is a step to lose, ends the process at once.

    Building the model and tracing its graph take longer than anyone waits after a signal, and lose nothing.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.error: DetboxError | None = None
        """What another thread has found: training is to save, and to end with it."""
        self.no_progress_yet = True
        self._kept = "nothing was lost"
        self._interruption: Interrupted | None = None

    def listen(self) -> Self:
        """Installs the handlers; to be called in the main thread. A signal that is ignored (`nohup`) stays so."""
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._catch)
        return self

    def _catch(self, number: int, frame: Any) -> None:
        first = self.signal is None
        self.signal = self.signal or number
        if first and self.no_progress_yet:
            self._end_now()

    def _end_now(self) -> None:
        if self.signal is not None:
            self._interruption = Interrupted(Stopped(self._kept, signal_number=self.signal, remedy="start it again"))
            raise self._interruption

    def end_at_once(self, kept: str) -> None:
        """From here on a signal, one that has come included, raises Interrupted: there is only time to lose.

        `kept` says what is there to go on from.
        """
        self.no_progress_yet, self._kept = True, kept
        self._end_now()

    @contextmanager
    def undisguised(self) -> Iterator[None]:
        """Within it, an error that native code has put in the place of Interrupted comes out as that again."""
        try:
            yield
        except Exception as error:
            if self._interruption:
                raise self._interruption from error
            raise

    @property
    def cuts_short(self) -> bool:
        """Whether the run stops before its end, to go on later."""
        return self.signal is not None or self.error is not None

    def fail(self, error: DetboxError) -> None:
        """Has training save and end with `error`; to be called from any thread."""
        self.error = error

    def why(self, read_request: Callable[[], str | None]) -> str | None:
        """The reason to stop now, or None. `read_request` gives the reason for which another service asks for it."""
        if self.signal is not None:
            return signal.Signals(self.signal).name
        return str(self.error) if self.error else read_request()
