"""The values in an event file, with what the file is like around them."""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from app.events.frame_reader import Fault, FrameReader
from app.events.summary_value import SummaryValue, plugin_of, read_value
from app.events.wire import BYTES, VARINT, as_signed, read_fields, read_varint, write_field
from app.run.lenient_json import moment
from app.tfrecord import OVERHEAD

# Fields of Event (tensorflow/core/util/event.proto).
WALL_TIME, STEP, FILE_VERSION, SUMMARY, SESSION_LOG = 1, 2, 3, 5, 7
_WHAT = {3: "file version", 4: "graph", 6: "log message", 7: "session log", 8: "run metadata", 9: "meta graph"}
_START = 1
"""SessionLog.START."""
_TEMPLATE_LONGEST = 4096
_TEMPLATES_MOST = 64
"""Of one length: so many tags have names of the same length."""
T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """An event of which only the frame was read. `at`: where the step's field ends."""

    wall_time: float
    step: int
    at: int


@dataclass(slots=True)
class Series(Generic[T]):
    """A tag of one file. `held`: what the reader's user keeps of it.

    `metadata`: the first that was given, or one that names the plugin.
    """

    tag: str
    kind: str
    plugin: str
    metadata: bytes
    held: T


_Template = tuple[bytes, bytes, int, Callable[[bytes, int], tuple[Any, ...]], Series[T]]
"""Bytes of an event of one scalar: after its step and before its number, after that; where it is, what reads it."""


@dataclass(frozen=True)
class Restart:
    """An event that says that a trainer begins at `step`: TensorBoard drops what it had from there on."""

    offset: int
    step: int


@dataclass(frozen=True)
class Other:
    """An event without a summary. `what`: its kind in words."""

    offset: int
    size: int
    what: str


class EventReader(Generic[T]):
    """Iterates (series, offset, step, bytes, number) of each value; number is None for what is no scalar.

    `make` makes what is held for a new series of a tag and a kind; `plugins` has the plugin of each tag, which a
    folder's later files may leave out. What is no message is a fault.
    """

    def __init__(self, path: Path, make: type[T], plugins: dict[str, str] | None = None):
        self.path = path
        self.series: dict[tuple[str, str], Series[T]] = {}
        self.others: list[Other] = []
        self.restarts: list[Restart] = []
        self.unreadable: list[Fault] = []
        self.events = 0
        self.first_time = self.last_time = 0.0
        self.version = ""
        self._make = make
        self._plugins = {} if plugins is None else plugins
        self._frames = FrameReader(path)

    @property
    def faults(self) -> list[Fault]:
        """Damaged parts, in order of kind."""
        return self._frames.faults + self.unreadable

    @property
    def size(self) -> int:
        return self._frames.size

    def __iter__(self) -> Iterator[tuple[Series[T], int, int, int, float | None]]:
        # Most events are scalars that differ only in time, step and number: those are told by the bytes around them.
        templates: dict[int, list[_Template[T]]] = {}
        count, data = 0, b""
        for offset, data in self._frames:
            count += 1
            if 22 < len(data) < _TEMPLATE_LONGEST and data[0] == 9 and data[9] == 16:
                step, at = data[10], 11
                while step >> 7 * (at - 10) and at < 20:  # The last byte of a number has no bit that says: go on.
                    step += (data[at] - 1) << 7 * (at - 10)
                    at += 1
                for before, after, place, form, series in templates.get(len(data) - at, ()):
                    if data.startswith(before, at) and data.endswith(after):
                        yield series, offset, as_signed(step), len(data) + OVERHEAD, form(data, at + place)[0]
                        break
                else:
                    yield from self._read_slowly(offset, data, templates)
            else:
                yield from self._read_slowly(offset, data, templates)
        self.events = count
        if data:
            self._note_time(data)

    def _read_slowly(
        self, offset: int, data: bytes, templates: dict[int, list["_Template[T]"]]
    ) -> Iterator[tuple[Series[T], int, int, int, float | None]]:
        try:
            event, values = read_event(data, self._plugins)
            other = None if values else self._read_other(offset, data, event)
        except (ValueError, IndexError):
            self.unreadable.append(Fault(offset, len(data) + OVERHEAD, is_tail=False))
            return
        if not self.first_time:
            self.first_time = moment(event.wall_time) or 0.0
        if other:
            self.others.append(other)
            return
        series = [self._series(value) for value in values]
        if len(values) == 1 and values[0].number_at >= 0 and event.at > 10 and len(data) < _TEMPLATE_LONGEST:
            place, form = values[0].number_at, struct.Struct(values[0].number_format)
            known = templates.setdefault(len(data) - event.at, [])
            if len(known) < _TEMPLATES_MOST:
                after = data[place + form.size :]
                known.append((data[event.at : place], after, place - event.at, form.unpack_from, series[0]))
        # Together they are as large as the event, so that all of them are told from some of them.
        around, rest = divmod(len(data) + OVERHEAD - sum(value.end - value.start for value in values), len(values))
        for one, value in zip(series, values, strict=True):
            yield one, offset, event.step, value.end - value.start + around + rest, value.number
            rest = 0

    def _series(self, value: SummaryValue) -> Series[T]:
        key = value.tag, value.kind
        series = self.series.get(key)
        if series is None:
            if value.plugin:
                self._plugins.setdefault(value.tag, value.plugin)
            is_named = plugin_of(value.metadata) or not value.plugin
            metadata = value.metadata if is_named else write_field(1, write_field(1, value.plugin.encode()))
            series = Series(value.tag, value.kind, value.plugin, metadata, self._make())
            self.series[key] = series
        return series

    def _read_other(self, offset: int, data: bytes, event: Event) -> Other:
        what = "unknown"
        for number, wire, _, begin, stop in read_fields(data, event.at, len(data)):
            what = _WHAT.get(number, what)  # A version comes with the name of its writer.
            if number == FILE_VERSION and wire == BYTES:
                self.version = data[begin:stop].decode("utf-8", "backslashreplace")
            if number == SESSION_LOG and wire == BYTES and _status(data, begin, stop) == _START:
                self.restarts.append(Restart(offset, event.step))
        return Other(offset, len(data) + OVERHEAD, what)

    def _note_time(self, data: bytes) -> None:
        try:
            self.last_time = moment(read_event(data, self._plugins)[0].wall_time) or self.first_time
        except (ValueError, IndexError):
            self.last_time = self.first_time


def read_event(data: bytes, plugins: Mapping[str, str]) -> tuple[Event, list[SummaryValue]]:
    """An event with the values of its summary. Raises ValueError, IndexError where the bytes are no event."""
    wall_time, step, head, values = 0.0, 0, 0, []
    for number, wire, start, begin, stop in read_fields(data, 0, len(data)):
        if number == WALL_TIME and stop - begin == 8:
            wall_time = struct.unpack_from("<d", data, begin)[0]
            head = stop if start == head else head
        elif number == STEP and wire == VARINT:
            step = as_signed(read_varint(data, begin)[0])
            head = stop if start == head else head
        elif number == SUMMARY and wire == BYTES:
            for inner, kind, _, first, last in read_fields(data, begin, stop):
                if inner == 1 and kind == BYTES:
                    values.append(read_value(data, first, last, plugins))
    return Event(wall_time, step, head), values


def _status(data: bytes, start: int, end: int) -> int:
    for number, wire, _, begin, _ in read_fields(data, start, end):
        if number == 1 and wire == VARINT:
            return read_varint(data, begin)[0]
    return 0
