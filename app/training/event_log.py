"""What the trainer writes for TensorBoard, within its share of the run's budget."""

import logging
import math
from collections.abc import Callable, Mapping
from typing import Protocol

from app.events import budget
from app.events.budget import Pace, ScalarPlan
from app.humanize import format_bytes
from app.run.directory import Run
from app.run.files import bytes_under
from app.settings import flag
from app.training.cadence import EverySteps
from app.training.loop import Loop
from app.write_schedule import WriteSchedule

log = logging.getLogger(__name__)


class Images(Protocol):
    """Training images, see `odapi.training_images.TrainingImages`."""

    def want(self) -> None: ...
    def write(self, step: int, may_write: Callable[[int], bool]) -> None: ...


class EventLog:
    """Scalars and images of training, at their cadence or, where the budget has no room for that, seldomer.

    `write_at` writes {tag: number} at a step before the present one; `hand_over` empties what the writer holds back.
    `limit`: bytes for training of the run, None for no budget; `spent`: those that its files have already.
    """

    def __init__(
        self,
        schedule: WriteSchedule,
        *,
        write_at: Callable[[int, Mapping[str, float]], None] = lambda step, scalars: None,
        hand_over: Callable[[], None] = lambda: None,
        images: Images | None = None,
        limit: int | None = None,
        spent: int = 0,
    ):
        self._schedule, self._write_at, self._images = schedule, write_at, images
        self._hand_over = hand_over
        self._room = None if limit is None else max(limit - spent, 0)
        self._are_scalars_exact = bool({"summary_every_n", "learning_rate_summary_every_n"} & schedule.exact)
        self._are_images_exact = "image_summary_every_n" in schedule.exact
        self._images_due = EverySteps(schedule.image_summary_every_n if images else 0)
        self._pace = Pace(None, 0, 0)
        self._plan: ScalarPlan | None = None
        self._wanted = False
        self._window: list[tuple[int, dict[str, float]]] = []

    def begin(self, loop: Loop) -> None:
        """Training goes on from the loop's step."""
        self._pace = Pace(None if self._are_images_exact else self._room, loop.step, loop.train_steps)

    def steps_until(self, step: int) -> int | None:
        """Steps until the hook is to look, for an image: the step whose images are wanted is a call of its own."""
        until = self._images_due.steps_until(step)
        if until is None or not self._pace.is_due(step + until):
            return until
        return max(until - 1, 1)

    def before_steps(self, step: int, steps: int) -> None:
        """So many steps will be run now."""
        self._wanted = steps == 1 and self._images_due.is_due(step + 1) and self._pace.is_due(step + 1)
        if self._wanted and self._images:
            self._images.want()

    def after_steps(self, loop: Loop) -> None:
        """Writes the images of the step that has been run, if they were due."""
        if self._wanted and self._images:
            self._wanted = False
            self._images.write(loop.step, lambda size: self._take(loop, size))

    def _take(self, loop: Loop, size: int) -> bool:
        if self._are_images_exact and self._room is not None and not self._pace.spent:
            writes = 1 + (loop.train_steps - loop.step) // self._images_due.every
            self._warn("image_summary_every_n", "images", writes * size)
        return self._pace.take(size)

    def write_scalars(self, loop: Loop, scalars: dict[str, float]) -> None:
        """Writes the scalars of the loop's step, now or, where they are thinned, with those of steps around it."""
        if self._plan is None and len(scalars) > 1:  # Not the learning rate alone.
            self._plan = self._make_plan(loop, scalars)
        if self._plan is None or self._plan.thinning == 1:
            loop.write_scalars(scalars)
            return
        self._window.append((loop.step, scalars))
        if len(self._window) >= budget.POINTS * self._plan.thinning:
            self.flush()

    def before_save(self, loop: Loop, run: Run) -> None:
        """Writes what the run's event files take, if they have a budget, and hands the system all that was written.

        A trainer that is killed after the save goes on from there: what its writer still held would be missing.
        """
        if self._room is not None:
            loop.write_scalars({"event_log_bytes": float(bytes_under(run.train_events) + bytes_under(run.eval_events))})
        self._hand_over()

    def flush(self) -> None:
        """Writes what is left of the steps that are thinned: of each tag the first, last, least and greatest number."""
        chosen: dict[int, dict[str, float]] = {}
        for tag in dict.fromkeys(tag for _, scalars in self._window for tag in scalars):
            points = [(step, scalars[tag]) for step, scalars in self._window if tag in scalars]
            finite = [point for point in points if not math.isnan(point[1])] or points
            by_number = sorted(finite, key=lambda point: point[1])
            for step, number in {points[0], points[-1], by_number[0], by_number[-1]}:
                chosen.setdefault(step, {})[tag] = number
        for step in sorted(chosen):
            self._write_at(step, chosen[step])
        self._window.clear()

    def _make_plan(self, loop: Loop, scalars: Mapping[str, float]) -> ScalarPlan:
        """Now that is known how large a summary is. Says what is to come."""
        every, size = self._schedule.summary_every_n, budget.scalar_bytes(scalars)
        writes = max(loop.train_steps - loop.step, 0) // every + 1
        if self._room is None:
            return ScalarPlan(1, writes * size)
        plan = budget.plan_scalars(
            self._room, writes, size, is_exact=self._are_scalars_exact, with_images=self._images_due.every > 0
        )
        left = max(self._room - plan.size, 0)
        if self._pace.room is not None:
            self._pace.room = left
        thinned = f", about one of {plan.thinning} by the shape of its curve" if plan.thinning > 1 else ""
        log.info(
            "train | event files to come: %s of scalars, every %d steps%s; images have %s",
            format_bytes(plan.size),
            every,
            thinned,
            format_bytes(left),
        )
        self._warn("summary_every_n", "scalars", plan.size)
        return plan

    def _warn(self, name: str, things: str, size: int) -> None:
        if self._room is not None and size > self._room:
            log.warning(
                "train | %s will take about %s, the budget has %s for them -> more %s, or another %s",
                things,
                format_bytes(size),
                format_bytes(self._room),
                flag("event_log_budget"),
                flag(name),
            )
