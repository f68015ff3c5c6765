"""What timed trainings say: figures of each, ratios of pairs with their spread, and the table of them."""

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from events import scalars

from entrypoint.reference import fill

WARM = 0.2
"""Part of the steps that counts as warming up, at least the first two."""


@dataclass(frozen=True)
class Turns:
    """When a process started, was stopped (from, to), and until when it had the machine in turn; Unix seconds."""

    started: float
    away: Sequence[tuple[float, float]]
    until: float


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One training. Times in seconds, memory and events in bytes, `waiting` a part of the time of a step."""

    step: float
    step_cpu: float
    images: float
    waiting: float
    first_step: float
    first_step_cpu: float
    memory: float
    gpu_memory: float
    event_bytes: float
    loss: float


def warm_up(steps: int) -> int:
    """How many of so many steps count for nothing but the time to the first one."""
    return max(2, round(steps * WARM))


def figures(raw: dict[str, Any], batch_size: int) -> Figures:
    """Of what `timed_training` has written and of the event files. A row: seconds before and after a batch was had.

    A step that ended after `until`, or during which the process was stopped (`away`: from, to), does not count.
    """
    rows, cpu, away = raw["rows"], raw["cpu"], raw["away"]

    def counts(number: int) -> bool:
        begin, end = rows[number][0], rows[number + 1][0]
        return end <= raw["until"] and all(end < left or back < begin for left, back in away)

    counted = [number for number in range(warm_up(len(rows)), len(rows) - 1) if counts(number)]
    if not counted:
        raise SystemExit(f"{len(rows)} steps are too few: name more")
    spent = sum(rows[number + 1][0] - rows[number][0] for number in counted)
    step = spent / len(counted)
    return Figures(
        step=step,
        step_cpu=sum(cpu[number + 1] - cpu[number] for number in counted) / len(counted),
        images=batch_size / step,
        waiting=sum(rows[number][1] - rows[number][0] for number in counted) / spent,
        first_step=rows[1][0] - raw["started"],
        first_step_cpu=raw["cpu"][1],
        memory=raw["memory"],
        gpu_memory=raw["gpu_memory"],
        event_bytes=raw["event_bytes"],
        loss=raw["loss"],
    )


def read(path: Path, batch_size: int, *, turns: Turns) -> Figures:
    """As `figures`, of a file, with what is in the event files, now that they are whole."""
    raw = json.loads(path.read_text("utf-8")) | asdict(turns)
    events = Path(raw["events"])
    raw["event_bytes"] = sum(file.stat().st_size for file in events.rglob("events.out.*"))
    raw["loss"] = scalars(events)["Loss/total_loss"][-1]
    return figures(raw, batch_size)


@dataclass(frozen=True)
class Pair:
    """One training beside another. `what` was trained, `where`: the machine, `names`: of the two."""

    what: str
    where: str
    names: tuple[str, str]
    figures: tuple[Figures, Figures]


def append(path: Path, pair: Pair) -> None:
    """Adds a line."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(pair)) + "\n")


def read_pairs(paths: Iterable[Path]) -> list[Pair]:
    """All that were added."""
    lines = [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]
    return [
        Pair(line["what"], line["where"], (*line["names"],), tuple(Figures(**one) for one in line["figures"]))
        for line in lines
    ]


@dataclass(frozen=True)
class Measure:
    """A row of the table: how a figure is written, and of two which is divided by which."""

    title: str
    of: Callable[[Figures], float]
    unit: float
    form: str
    more_is_better: bool = False


MEASURES = (
    Measure("images a second", lambda one: one.images, 1, ".1f", True),
    Measure("a step, ms", lambda one: one.step, 1e-3, ".1f"),
    Measure("processor time of a step, ms", lambda one: one.step_cpu, 1e-3, ".1f"),
    Measure("time to the first step, s", lambda one: one.first_step, 1, ".1f"),
    Measure("processor time to the first step, s", lambda one: one.first_step_cpu, 1, ".1f"),
    Measure("of a step's time waiting for input, %", lambda one: one.waiting, 1e-2, ".1f"),
    Measure("peak memory, MB", lambda one: one.memory, 1e6, ".0f"),
    Measure("peak memory of the GPU, MB", lambda one: one.gpu_memory, 1e6, ".0f"),
    Measure("event files, kB", lambda one: one.event_bytes, 1e3, ".0f"),
    Measure("last loss", lambda one: one.loss, 1, ".3f"),
)


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Median and, of several, least and greatest."""
    middle = format(statistics.median(values), form)
    return f"{middle} ({min(values):{form}} to {max(values):{form}})" if len(values) > 1 else middle


def ratios(pairs: Sequence[tuple[Figures, Figures]], measure: Measure) -> list[float]:
    """Second to first, pair by pair; nothing where the first has none of it."""
    values = [(measure.of(first), measure.of(second)) for first, second in pairs]
    return [second / first for first, second in values if first]


def table(pairs: Sequence[tuple[Figures, Figures]], names: tuple[str, str]) -> str:
    """A row for each measure, as Markdown. `names`: of the two that are compared."""
    heads = ("", *names, f"{names[1]} / {names[0]}", "")
    lines = [heads, ("---", "---:", "---:", "---:", "---")]
    for measure in MEASURES:
        values = [[measure.of(pair[side]) / measure.unit for pair in pairs] for side in (0, 1)]
        if any(map(any, values)):
            better = "more is better" if measure.more_is_better else ""
            found = ratios(pairs, measure)
            medians = (format(statistics.median(side), measure.form) for side in values)
            lines.append((measure.title, *medians, spread(found) if found else "", better))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_tables(page: Path, pairs: Sequence[Pair]) -> None:
    """A table for each of what was compared, in the order of the pairs, between the page's markers."""
    kinds = dict.fromkeys((pair.where, pair.what, pair.names) for pair in pairs)
    parts = []
    for where, what, names in kinds:
        own = [pair.figures for pair in pairs if (pair.where, pair.what, pair.names) == (where, what, names)]
        parts.append(f"**{what}.** {where}; pairs: {len(own)}.\n\n{table(own, names)}")
    page.write_text(fill(page.read_text("utf-8"), "trainings", "\n\n".join(parts)), "utf-8")
