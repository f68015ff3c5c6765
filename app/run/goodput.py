"""What the wall time of a run's trainer went into, summed over all its starts: `status/goodput.json`."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from app.humanize import format_count, spell_time
from app.run.directory import Run
from app.run.files import read_object, write_json
from app.run.lenient_json import Schema, count, moment, numbers

KINDS = ("training", "saving", "starting", "lost", "down")


GOODPUT = Schema(
    {
        **dict.fromkeys(KINDS, moment),
        "saves": count,
        "failures": count,
        "in_progress": bool,
        "time": moment,
        "training_at": numbers,
    }
)


@dataclass
class Goodput:
    """Seconds, of the steps that count and of what they cost.

    `training`: steps that the run goes on from, with the input that they waited for, which they read themselves;
    `saving`: checkpoints; `starting`: imports, building, restoring, and the first step, which is traced; `lost`: steps
    that were made again, or should be; `down`: between a crash and the start after it. A run that was stopped in good
    order is not down.
    """

    training: float = 0.0
    saving: float = 0.0
    starting: float = 0.0
    lost: float = 0.0
    down: float = 0.0
    saves: int = 0
    failures: int = 0
    """Starts of the trainer that did not end in good order."""
    in_progress: bool = False
    """Whether the trainer has not ended in good order, yet."""
    time: float = 0.0
    """Unix seconds when it was written."""
    training_at: dict[str, float] = field(default_factory=dict)
    """`training` when the checkpoint of each step was saved."""

    @property
    def total(self) -> float:
        return sum(self.seconds().values())

    @property
    def suggested_interval(self) -> float | None:
        """Seconds between two checkpoints that lose the least time; None without a save and a failure to go by.

        J. W. Young, "A first order approximation to the optimum checkpoint interval", Communications of the ACM 17(9),
        1974: sqrt(2 * seconds of a save * mean time between failures).
        """
        if not (self.saves and self.failures and self.saving):
            return None
        between_failures = (self.total - self.down) / self.failures
        return math.sqrt(2 * self.saving / self.saves * between_failures)

    def seconds(self) -> dict[str, float]:
        """By kind."""
        return {kind: getattr(self, kind) for kind in KINDS}

    def describe(self) -> str:
        """`92 % training (1 h 3 min), saving 2 min 1 s, lost 40 s`."""
        rest = [f"{kind} {spell_time(value)}" for kind, value in self.seconds().items() if kind != "training" and value]
        return ", ".join([f"{self.training / self.total:.0%} training ({spell_time(self.training)})", *rest])

    def describe_advice(self) -> str:
        """`2 failures: a checkpoint every 12 min 3 s would lose the least time`; empty without failures."""
        interval = self.suggested_interval
        if interval is None:
            return ""
        return (
            f"{format_count(self.failures, 'failure')}: a checkpoint every {spell_time(interval)} loses the least time"
        )


def read_goodput(run: Run) -> Goodput:
    """That of the run so far; nothing but zeros where it is not known."""
    found: Mapping[str, Any] = read_object(run.goodput, GOODPUT)
    return Goodput(**{one.name: found[one.name] for one in fields(Goodput) if one.name in found})


def write_goodput(run: Run, goodput: Goodput) -> None:
    """Writes it."""
    write_json(run.goodput, asdict(goodput))
