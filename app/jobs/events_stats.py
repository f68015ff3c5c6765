"""`events stats`: what event files are made of."""

import time
from dataclasses import dataclass
from pathlib import Path

from app import progress
from app.errors import SettingsError
from app.events.statistics import LogStatistics, describe_log
from app.humanize import format_bytes, format_count
from app.settings import Settings

TAGS_SHOWN = 40
"""The largest; all of them are in the JSON."""


@dataclass(frozen=True)
class EventStatistics:
    """What is at each of the paths."""

    logs: list[LogStatistics]

    def __str__(self) -> str:
        return "\n\n".join("\n".join(_describe(log)) for log in self.logs)


def run(settings: Settings) -> EventStatistics:
    """Reads the event files at each path. Raises SettingsError where there are none."""
    logs = []
    for path in input_paths(settings.input):
        with progress.shown(str(path), in_units_of_bytes=True) as report:
            logs.append(describe_log(path, report))
    return EventStatistics(logs)


def input_paths(words: str) -> list[Path]:
    """The paths that a command line names. Raises SettingsError without any."""
    paths = [Path(word) for word in words.split("\n") if word]
    if not paths:
        raise SettingsError(
            "no path is named", remedy="a folder of event files, as in: detbox events stats models/sample"
        )
    return paths


def _describe(log: LogStatistics) -> list[str]:
    lines = [f"{log.path}: {format_bytes(log.bytes)} in {format_count(len(log.files), 'file')}"]
    lines += [f"  {kind:<14}{format_bytes(size):>10}" for kind, size in log.kinds.items()]
    lines.append("")
    head = ("bytes", "values", "steps", "every", "doubles", "gaps", "kind", "tag")
    rows = [
        (
            format_bytes(tag.bytes),
            f"{tag.values:,}",
            f"{tag.first_step}-{tag.last_step}",
            str(tag.every or "-"),
            str(tag.superseded or "-"),
            str(tag.gaps or "-"),
            tag.kind,
            tag.tag if tag.folder == "." else f"{tag.folder}: {tag.tag}",
        )
        for tag in log.tags[:TAGS_SHOWN]
    ]
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    for row in (head, *rows):
        cells = [
            cell.ljust(width) if at > 5 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    if len(log.tags) > TAGS_SHOWN:
        lines.append(f"  and {format_count(len(log.tags) - TAGS_SHOWN, 'smaller tag')}")
    lines.append("")
    for file in log.files:
        if file.faults:
            is_tail = file.is_cut and file.faults == 1
            what = "cut short at its end" if is_tail else format_count(file.faults, "fault")
            lines.append(f"  {file.file}: {what}, {format_bytes(file.damaged)} are no records")
    starts = format_count(sum(file.restarts for file in log.files), "marked restart")
    lines.append(f"  {format_count(len(log.files), 'file')}, {starts}, written {_span(log)}")
    lines.append(f"  detbox events compact saves {format_bytes(log.saved)} of it with every value that is shown")
    return lines


def _span(log: LogStatistics) -> str:
    times = [moment for file in log.files for moment in (file.first_time, file.last_time) if moment]
    if not times:
        return "at no known time"
    first, last = (time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment)) for moment in (min(times), max(times)))
    return f"from {first} to {last} UTC"
