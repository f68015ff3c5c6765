"""Which evaluations have images in TensorBoard, so that their event files keep to their share of the run's budget."""

import math
from collections.abc import Callable, Iterable

from app.events.budget import EVALUATION_SHARE, scalar_bytes
from app.write_schedule import WriteSchedule


class EventPace:
    """Asks `spent` for the bytes of the event files that are there, which holds over restarts.

    A run without a budget, or whose cadence of images was given, has all of them.
    """

    def __init__(self, schedule: WriteSchedule, num_train_steps: int, spent: Callable[[], int]):
        self._limit = int(schedule.event_log_budget * EVALUATION_SHARE)
        self._is_exact = "eval_image_every_n" in schedule.exact
        self._every, self._steps, self._spent = schedule.checkpoint_every_n, max(num_train_steps, 1), spent
        self._set = self._scalars = 0

    def thinning(self, step: int, tags: Iterable[str]) -> int:
        """One of how many evaluations has its scalars written, from `step` on."""
        self._scalars = size = scalar_bytes(tags)
        left = self._limit - self._spent()
        wanted = self._to_come(step) * size
        return max(1, math.ceil(wanted / max(left, 1))) if self._limit and wanted > left else 1

    def begin_images(self, step: int) -> bool:
        """Whether it is the turn of images at `step`: evenly over the run, the first at once."""
        if not self._limit or self._is_exact:
            return True
        expected, self._set = self._set, 0
        is_due = not expected and not self._spent()
        is_due = is_due or self._spent() + expected <= self._limit * min(step / self._steps, 1)
        if not is_due:
            self._set = expected
        return is_due

    def take(self, step: int, size: int) -> bool:
        """Whether there is room for `size` bytes of an image, which are written then."""
        self._set += size
        if not self._limit or self._is_exact:
            return True
        return self._spent() + self._set + self._to_come(step) * self._scalars <= self._limit

    def _to_come(self, step: int) -> int:
        return max(self._steps - step, 0) // max(self._every, 1) + 1
