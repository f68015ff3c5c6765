"""`events compact`: event files in fewer bytes."""

from dataclasses import dataclass
from pathlib import Path

from app.errors import SettingsError
from app.events.compaction import Compacted, compact
from app.events.plan import Cadence
from app.humanize import parse_bytes
from app.jobs.events_stats import input_paths
from app.settings import Settings, flag


@dataclass(frozen=True)
class CompactedLogs:
    """What became of each path."""

    logs: list[Compacted]

    def __str__(self) -> str:
        return "\n".join(map(str, self.logs))


def run(settings: Settings) -> CompactedLogs:
    """Compacts the log at each path, each to the budget. Raises SettingsError, before anything is written if it can."""
    paths = input_paths(settings.input)
    cadences = read_cadences(settings.tag_every_n)
    if settings.in_place and settings.output:
        raise SettingsError(
            "output and in_place are both given", remedy=f"one of {flag('output')} and {flag('in_place')}"
        )
    names = [path.resolve().name for path in paths]
    if settings.output and len(set(names)) < len(names):
        raise SettingsError("two of the paths have one name", where=settings.output, remedy="one after the other")
    logs = []
    for path, name in zip(paths, names, strict=True):
        output = Path(settings.output) if settings.output else None
        if output and len(paths) > 1:
            output /= name
        budget = parse_bytes(settings.event_log_budget)
        logs.append(compact(path, output, budget=budget, cadences=cadences, in_place=settings.in_place))
    return CompactedLogs(logs)


def read_cadences(text: str) -> list[Cadence]:
    """`Loss/*=100,images=0`. Raises SettingsError for what is none."""
    cadences = []
    for word in filter(None, text.split(",")):
        pattern, equals, every = word.rpartition("=")
        if not (equals and pattern and every.isascii() and every.isdecimal()):
            raise SettingsError(f"{word!r} is no tag with its steps", remedy=flag("tag_every_n", "Loss/*=100,images=0"))
        cadences.append(Cadence(pattern, int(every)))
    return cadences
