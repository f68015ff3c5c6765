"""What the trainer does between steps: record, save, delete, report, stop."""

import gc
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from app.checkpoint import files_of
from app.errors import DivergedError
from app.humanize import format_count
from app.run.directory import Run
from app.run.evaluations import evaluated_steps
from app.run.files import flush
from app.run.heartbeat import ENDED, Heartbeat, write_heartbeat
from app.run.metrics import append_metrics, drop_metrics_after, read_metrics
from app.run.run_end import read_stop_request, write_done
from app.settings import flag
from app.training import divergence, retention
from app.training.agreement import Agreement
from app.training.cadence import EverySeconds, EverySteps
from app.training.event_log import EventLog
from app.training.loop import Loop, describe
from app.training.stop import StopFlag
from app.training.time_account import TimeAccount
from app.training.watchdog import Watchdog
from app.write_schedule import WriteSchedule

log = logging.getLogger(__name__)

TOTAL_LOSS = "Loss/total_loss"
HEARTBEAT_SECONDS = 2.0
REQUEST_SECONDS = 1.0


class Trainer:
    """The hook of `train_loop`. Writes metrics, heartbeat and, at the end, `DONE` into the run."""

    def __init__(
        self,
        run: Run,
        schedule: WriteSchedule,
        stop: StopFlag,
        *,
        newest: Path | None,
        mark_restart: Callable[[int], None] = lambda step: None,
        watchdog: Watchdog | None = None,
        account: TimeAccount | None = None,
        events: EventLog | None = None,
        loss_upper_bound: float = 0.0,
        skipped_records: int = 0,
        agreement: Agreement | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._agreement = agreement
        self.run, self.schedule, self.stop = run, schedule, stop
        self._newest, self._mark_restart = newest, mark_restart
        self._events = events or EventLog(schedule)
        self.stopped_for: str | None = None
        self._skipped_records, self._loss_upper_bound = skipped_records, loss_upper_bound
        self._watchdog = watchdog or Watchdog(0, 0, 0, clock=clock)
        self._account = account or TimeAccount(run, time.time(), clock=clock)
        self._clock = clock
        self._losses_due = EverySteps(schedule.summary_every_n)
        self._rate_due = EverySteps(schedule.learning_rate_summary_every_n)
        self._log_due = EverySteps(schedule.log_every_n)
        self._save_due = (
            EverySeconds(schedule.checkpoint_every_secs, clock)
            if schedule.checkpoint_every_secs
            else EverySteps(schedule.checkpoint_every_n)
        )
        self._due: list[Any] = [self._losses_due, self._rate_due, self._log_due, self._events]
        self._due += [] if self._saves_by_agreement else [self._save_due]
        self._due += [agreement] if agreement else []
        self._beat_due = EverySeconds(HEARTBEAT_SECONDS, clock)
        self._request_due = EverySeconds(REQUEST_SECONDS, clock)
        self._loop: Loop | None = None
        self._saved_step, self._is_first_call = 0, True
        self._looked_step, self._looked_at = 0, clock()
        self._process = psutil.Process()

    def resume_from(self, model_dir: str) -> str | None:
        """The checkpoint to go on from, or None."""
        return str(self._newest) if self._newest else None

    def begin(self, loop: Loop) -> None:
        """Says where the run starts."""
        self._loop = loop
        self._watchdog.begin_run()
        self._saved_step = self._looked_step = loop.step
        self._looked_at = self._clock()
        self._save_due.mark()
        weights = f"the weights of {loop.fine_tuned_from}" if loop.fine_tuned_from else "random weights"
        start = f"resumed from {loop.restored_from}" if loop.restored_from else f"fresh start from {weights}"
        log.info("train | step %d of %d | %s", loop.step, loop.train_steps, start)
        if loop.is_chief:
            self._drop_superseded(loop.step)
            self._account.begin(loop.step)
        self._events.begin(loop)
        self._beat(loop, "training", "building the training step")

    def steps_to_run(self, loop: Loop) -> int:
        """Steps until something is due; 0 at the end of the run or when a stop is asked for."""
        if self._is_asked_to_stop(loop):
            return 0
        ahead = [steps for cadence in self._due if (steps := cadence.steps_until(loop.step)) is not None]
        steps = max(0, min(loop.train_steps - loop.step, self.schedule.num_steps_per_iteration, *ahead))
        if steps:
            self._events.before_steps(loop.step, steps)
            self._watchdog.begin_call(steps)
        return steps

    def after_steps(self, loop: Loop) -> None:
        """Does what is due at `loop.step`."""
        self._watchdog.end_call()
        if self._is_first_call:
            self._is_first_call = False
            gc.enable()  # `jobs.train` has it wait for the first step.
            self._account.switch("training")
        self.stop.no_progress_yet = False
        self._events.after_steps(loop)
        self._record(loop)
        if not self._saves_by_agreement and self._is_save_due(loop):
            self._save(loop)
        if self._beat_due.is_due(loop.step):
            self._beat(loop, "training")

    def end(self, loop: Loop) -> None:
        """Saves the exact last step, and says in `DONE` how the run ended unless a signal cut it short."""
        self._events.flush()
        if loop.step != self._saved_step:
            self._save(loop)
        if not loop.is_chief:
            return
        if self.stop.cuts_short:  # It may have come in that save.
            self.stopped_for = self.stop.why(lambda: None)
            self._beat(loop, "stopped", self.stopped_for or "")
            return
        self._settle(loop)
        reason = self.stopped_for or "completed"
        write_done(self.run, step=loop.step, of=loop.train_steps, reason=reason)
        self._beat(loop, "done", reason)
        log.info("train | step %d of %d | %s", loop.step, loop.train_steps, reason)

    def call_failed(self) -> None:
        """The call of the step has raised: while the cause is looked for no time is counted and a signal ends all."""
        self._watchdog.end_call()
        self.stop.end_at_once(f"step {self._saved_step} is saved")

    def save_rest(self) -> None:
        """Saves the step before a call that raised because of its input, which has changed nothing.

        Of a call of several steps it is not known how many were done.
        """
        self.stop.no_progress_yet = False
        loop = None if self._agreement else self._loop  # Of several workers all would have to save.
        if loop and loop.step != self._saved_step and self.schedule.num_steps_per_iteration == 1:
            self._save(loop)

    def diverged(self, what: str) -> DivergedError:
        """The error for a run that is not finite any more; names the last good checkpoint."""
        steps = self.run.checkpoint_steps()
        step = divergence.last_good(steps, read_metrics(self.run))
        good = f"the last good checkpoint is {self.run.checkpoint(step)}" if step else "no checkpoint is of before"
        return DivergedError(
            f"{what}; nothing of it was saved, {good}",
            where="train",
            remedy=f"start again with a lower {flag('learning_rate')} or more {flag('warmup_steps')}",
        )

    def _drop_superseded(self, step: int) -> None:
        """Drops what a process that was killed has recorded of steps that will be run again."""
        if dropped := drop_metrics_after(self.run, step):
            log.info("train | %s of steps after %d dropped: they are run again", format_count(dropped, "line"), step)
        self._mark_restart(step)

    def _is_save_due(self, loop: Loop) -> bool:
        return self._save_due.is_due(loop.step) and loop.step != self._saved_step

    @property
    def _saves_by_agreement(self) -> bool:
        """Whether a save is due by a clock, of which each worker has another."""
        return self._agreement is not None and isinstance(self._save_due, EverySeconds)

    def _is_asked_to_stop(self, loop: Loop) -> bool:
        if self._agreement:
            return self._is_agreed_to_stop(loop, self._agreement)
        if not self.stop.cuts_short and not self._request_due.is_due(0):
            return False
        self._request_due.mark()
        self.stopped_for = self.stop.why(lambda: read_stop_request(self.run))
        return self.stopped_for is not None

    def _is_agreed_to_stop(self, loop: Loop, agreement: Agreement) -> bool:
        """Asks all workers, at the steps that are for it; saves if that is due by the chief's clock."""
        if agreement.steps_until(loop.step):
            return False
        reason = self.stop.why(lambda: read_stop_request(self.run)) if loop.is_chief else None
        save = self._saves_by_agreement and self._is_save_due(loop)
        agreed = agreement.agree(loop.step, signal=self.stop.signal, request=reason is not None, save=save)
        if agreed.save:
            self._save(loop)
        self.stop.signal = agreed.signal
        self.stopped_for = self.stop.why(lambda: (reason or "the chief ends") if agreed.request else None)
        return self.stopped_for is not None

    def _record(self, loop: Loop) -> None:
        losses_due, rate_due = self._losses_due.is_due(loop.step), self._rate_due.is_due(loop.step)
        log_due = self._log_due.is_due(loop.step) or loop.step == loop.train_steps
        if not (losses_due or rate_due or log_due):
            return
        losses = loop.losses()
        self._check_loss(loop, losses)
        scalars = dict(losses) if losses_due else {}
        if rate_due:
            scalars["learning_rate"] = loop.learning_rate()
        if log_due:
            row = self._row(loop, losses)
            if losses_due:
                scalars["steps_per_sec"] = row["steps_per_sec"]
            if loop.is_chief:
                append_metrics(self.run, row)
                log.info(describe(loop, row))
        if scalars:
            self._events.write_scalars(loop, scalars)

    def _check_loss(self, loop: Loop, losses: dict[str, float]) -> None:
        bad = loop.first_non_finite()
        if bad is not None:
            raise self.diverged(f"the loss of step {bad} is not finite")
        loss, bound = losses.get(TOTAL_LOSS, 0.0), self._loss_upper_bound
        if bound and loss > bound:
            raise self.diverged(f"the loss of step {loop.step} is {loss:.4g}, above loss_upper_bound={bound:g}")

    def _row(self, loop: Loop, losses: dict[str, float]) -> dict[str, Any]:
        now = self._clock()
        steps, seconds = loop.step - self._looked_step, max(now - self._looked_at, 1e-9)
        self._looked_step, self._looked_at = loop.step, now
        return {
            "step": loop.step,
            "of": loop.train_steps,
            "time": round(time.time(), 3),
            "loss": losses.get(TOTAL_LOSS, math.nan),
            "losses": losses,
            "learning_rate": loop.learning_rate(),
            "steps_per_sec": round(steps / seconds, 4),
            "examples_per_sec": round(steps * loop.batch_size / seconds, 3),
            "memory_mb": round(self._process.memory_info().rss / 1e6, 1),
            "goodput": self._account.seconds(),
            **({"skipped_records": self._skipped_records} if self._skipped_records else {}),
        }

    def _save(self, loop: Loop) -> None:
        if self._loss_upper_bound and loop.step > self._saved_step:
            self._check_loss(loop, loop.losses())
        self._account.switch("saving")
        self._events.before_save(loop, self.run)
        path = loop.save()
        if loop.is_chief:
            flush([*files_of(Path(path)), self.run.root])  # Before it is said, and before older ones go.
        self._saved_step = loop.step
        self._account.saved(loop.step, list(loop.checkpoints))
        self._save_due.mark()
        if not loop.is_chief:
            return
        log.info("train | step %d | saved %s", loop.step, path)
        self._prune(loop, self.schedule.checkpoint_backlog_max)
        self._beat(loop, "training")

    def _settle(self, loop: Loop) -> None:
        """At the end of a run that no evaluator watches, only the newest checkpoints stay."""
        if not Heartbeat.read(self.run, "evaluator").has_started:
            self._prune(loop, 0)

    def _prune(self, loop: Loop, backlog_max: int) -> None:
        plan = retention.plan_retention(
            loop.checkpoints,
            evaluated_steps(self.run),
            max_to_keep=self.schedule.checkpoint_max_to_keep,
            backlog_max=backlog_max,
        )
        if plan.unseen and backlog_max:
            log.warning(
                "train | checkpoints %s go before they were evaluated -> %s keeps more",
                ", ".join(map(str, plan.unseen)),
                flag("checkpoint_backlog_max"),
            )
        loop.delete(list(plan.delete))

    def _beat(self, loop: Loop, state: str, reason: str = "") -> None:
        self._beat_due.mark()
        if loop.is_chief:
            self._account.write(in_progress=state not in ENDED)
            write_heartbeat(self.run, "trainer", state=state, step=loop.step, of=loop.train_steps, reason=reason)
