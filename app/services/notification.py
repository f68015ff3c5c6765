"""Messages to people about a run: that it is done, has failed, was preempted, has a new best checkpoint."""

import atexit
import contextlib
import logging
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from app.errors import DetboxError, Preempted, SettingsError, Stopped, did_you_mean
from app.humanize import format_figure, short_metric
from app.run import lock
from app.run.directory import Run
from app.run.evaluations import evaluated_steps
from app.run.heartbeat import first_line
from app.run.run_end import read_done
from app.services import run_state
from app.settings import Settings, flag

if TYPE_CHECKING:
    from apprise import NotifyBase

logger = logging.getLogger(__name__)

EVENTS: Mapping[str, str] = {"done": "success", "failed": "failure", "best": "info", "preempted": "warning"}
"""What can be told of, as Apprise's type of message."""
SEND_SECONDS = 15.0
"""What the end of the process waits for messages that are on their way."""
NONE = ("", "none")


class Notifier:
    """Sends messages about `run` to whom `notify` names, from threads of its own.

    A message that can't be sent is a line in the log. No line, file or error has more of an address than its scheme:
    the rest is mostly a secret. Raises SettingsError as `check` does.
    """

    def __init__(self, run: Run, settings: Settings):
        self._run, self._events = run, parse_events(settings.notify_on)
        self._targets = _read_addresses(settings.notify)
        self._threads: list[threading.Thread] = []
        if self._targets:
            atexit.register(self.finish)

    def __str__(self) -> str:
        return f"{', '.join(scheme for scheme, _ in self._targets)}: {', '.join(self._events)}"

    def tell_best(self, metric: str, step: int, value: float | None) -> None:
        """There is a new best checkpoint."""
        self._tell("best", f"has a new best checkpoint: {short_metric(metric)} {format_figure(value)} at step {step}")

    def tell_failure(self, error: BaseException) -> None:
        """The run has failed for good; nothing where another trainer works on it."""
        if lock.is_held(self._run.service_lock("trainer")):
            return
        remedy = f" -> {error.remedy}" if isinstance(error, DetboxError) and error.remedy else ""
        what = error.what if isinstance(error, DetboxError) else first_line(error)
        code = error.exit_code if isinstance(error, DetboxError) else DetboxError.exit_code
        self._tell("failed", f"has failed {self._progress()}: {what}{remedy} (exit code {code})")

    @contextlib.contextmanager
    def telling_end(self) -> Iterator[None]:
        """Tells how the block ends: done if it got further in it, failed, preempted; nothing of a stop by a signal."""
        if self._targets:
            logger.info("notify | %s", self)
        before = read_done(self._run), evaluated_steps(self._run)
        try:
            yield
        except Preempted as error:
            why = str(error).removeprefix("preempted: ")
            self._tell("preempted", f"was preempted {self._progress()}: {why} (exit code {error.exit_code})")
            raise
        except Stopped:
            raise
        except Exception as error:
            self.tell_failure(error)
            raise
        if (done := read_done(self._run)) and (done, evaluated_steps(self._run)) != before:
            self._tell("done", f"is done {self._progress()}: {done.get('reason', 'done')} (exit code 0)")

    def finish(self, seconds: float = SEND_SECONDS) -> None:
        """Waits for messages on their way, so long at most."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0))
            if thread.is_alive():
                logger.warning("notify | %s does not answer: nobody waits for it any more", thread.name)
        self._threads.clear()

    def _progress(self) -> str:
        """`at step 40 of 200, best mAP 0.310 at step 20`."""
        state = run_state.read_run_state(self._run, run_state.chosen_metric(self._run))
        if not state.of:
            return "before it began"
        best = state.best
        name = short_metric(state.metric)
        figures = f", best {name} {format_figure(best.value)} at step {best.step}" if best else ""
        return f"at step {max([state.step, *state.checkpoints])} of {state.of}{figures}"

    def _tell(self, event: str, text: str) -> None:
        if event not in self._events:
            return
        title = f"detbox: {self._run.name} {event}"
        body = f"run {self._run.name} on {socket.gethostname()} {text}"
        for scheme, target in self._targets:
            thread = threading.Thread(target=_send, args=(scheme, target, event, title, body), name=scheme, daemon=True)
            self._threads.append(thread)
            thread.start()


def check(settings: Settings) -> None:
    """Raises SettingsError for an address or event that is not known, or where Apprise is not installed."""
    parse_events(settings.notify_on)
    _read_addresses(settings.notify)


def parse_events(text: str) -> tuple[str, ...]:
    """The events that `notify_on` names. Raises SettingsError."""
    names = [name for name in re.split(r"[\s,]+", text.strip().lower()) if name]
    for name in names:
        if name not in EVENTS:
            remedy = did_you_mean(name, EVENTS) or f"{flag('notify_on')}: {', '.join(EVENTS)}"
            raise SettingsError(f"{name!r} is nothing to tell of", where="notify_on", remedy=remedy)
    return tuple(name for name in EVENTS if name in names)


def _read_addresses(text: str) -> list[tuple[str, "NotifyBase"]]:
    """The scheme of each address, with what sends to it."""
    if text.strip() in NONE:
        return []
    try:
        import apprise
    except ImportError:
        remedy = f"pip install 'detbox[notify]', or leave out {flag('notify')}"
        raise SettingsError("Apprise, which sends messages, is not installed", where="notify", remedy=remedy) from None
    own = logging.getLogger("apprise")  # Its lines have addresses in them, as those of requests' library for debugging.
    own.propagate, own.handlers[:] = False, [logging.NullHandler()]
    logging.getLogger("urllib3").setLevel(logging.INFO)
    addresses, found = re.split(r"[\s,;]+(?=[A-Za-z0-9]+://)", text.strip(" \t\n,;")), []
    for number, address in enumerate(addresses, start=1):
        known = re.match(r"[A-Za-z][A-Za-z0-9]{0,20}://", address)
        scheme = known[0].lower() if known else ""
        target = apprise.Apprise.instantiate(address, asset=apprise.AppriseAsset(app_id="detbox")) if known else None
        if target is None:
            which = f"address {number} of {len(addresses)}" + (f" ({scheme}...)" if scheme else "")
            raise SettingsError(
                f"{which} is none that Apprise can read",
                where="notify",
                remedy=f"{flag('notify')} as Apprise documents it, as mailto://USER:PASSWORD@HOST; json://HOST/PATH is "
                "any webhook",
            )
        found.append((scheme, target))
    return found


def _send(scheme: str, target: Any, event: str, title: str, body: str) -> None:
    try:
        is_sent = target.notify(title=title, body=body, notify_type=EVENTS[event])
    except Exception:  # Whatever one of its hundred plugins raises, which may have the address in it.
        is_sent = False
    if not is_sent:
        logger.warning("notify | %s did not take the message %r: the run is not affected", scheme, event)
