"""How a service is asked to stop."""

import contextlib
import os
import signal

import pytest

from app.training.stop import SIGNALS, Interrupted, StopFlag


@pytest.fixture
def handlers():
    """Leaves the handlers of this process as they were."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_remembered_once_there_is_a_step_to_lose(handlers, number):
    """Before that it ends the process at once; a closed terminal is as good a reason as any."""
    stop = StopFlag()
    stop.listen()
    with pytest.raises(Interrupted) as caught:
        os.kill(os.getpid(), number)
    assert caught.value.stopped.exit_code == 128 + number
    stop = StopFlag()
    stop.listen()
    stop.no_progress_yet = False
    os.kill(os.getpid(), number)
    assert (stop.signal, stop.why(lambda: None)) == (number, signal.Signals(number).name)


def test_a_signal_ends_at_once_what_can_only_lose_time(handlers):
    """While the cause of a failed step is looked for; also a signal that has come in that step."""
    stop = StopFlag()
    stop.listen()
    stop.no_progress_yet = False
    stop.end_at_once("step 7 is saved")
    with pytest.raises(Interrupted, match="step 7 is saved"):
        os.kill(os.getpid(), signal.SIGTERM)
    stop = StopFlag()
    stop.listen()
    stop.no_progress_yet = False
    os.kill(os.getpid(), signal.SIGHUP)
    with pytest.raises(Interrupted) as caught:
        stop.end_at_once("step 7 is saved")
    assert caught.value.stopped.exit_code == 128 + signal.SIGHUP


def test_what_native_code_makes_of_an_interruption_is_one(handlers):
    """For a signal that comes while it makes a Python error, pybind11 raises a RuntimeError without a link to it."""
    stop = StopFlag()
    stop.listen()
    with pytest.raises(Interrupted) as caught, stop.undisguised():
        with contextlib.suppress(Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("ORIGINAL InvalidArgumentError REPLACED BY Interrupted")
    assert caught.value.stopped.exit_code == 143
    with pytest.raises(RuntimeError), StopFlag().undisguised():
        raise RuntimeError("of its own")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_is_ignored_stays_so(handlers, number):
    """`nohup` ignores SIGHUP, a shell without job control SIGINT of what it starts with `&`."""
    signal.signal(number, signal.SIG_IGN)
    stop = StopFlag()
    stop.listen()
    os.kill(os.getpid(), number)
    assert stop.signal is None


def test_what_another_service_asks_for(handlers):
    """Its reason; a signal goes first."""
    stop = StopFlag()
    assert stop.why(lambda: "early-stopped") == "early-stopped"
    assert stop.why(lambda: None) is None
