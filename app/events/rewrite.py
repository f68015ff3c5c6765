"""An event made anew of some of its values, everything else in it as it was."""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence

from app.events.event_reader import SUMMARY, read_event
from app.events.log_index import Key
from app.events.summary_value import ENCODED_IMAGE, IMAGE, IMAGE_FIELD, METADATA, STRING_VAL, TENSOR_FIELD, plugin_of
from app.events.wire import BYTES, read_fields, write_field


def rewrite_event(
    data: bytes, keep: Collection[Key], plugins: Mapping[str, str], recode: Callable[[bytes], bytes] | None
) -> bytes:
    """The event with its values of the series `keep` alone; their images go through `recode`."""
    values = []
    for value in read_event(data, plugins)[1]:
        if (value.tag, value.kind) in keep:
            held = data[value.start : value.end]
            values.append(_recode(held, recode) if value.kind == IMAGE and recode else held)
    return _with_values(data, values)


def add_metadata(data: bytes, metadata: Mapping[str, bytes]) -> bytes:
    """The event with SummaryMetadata, by tag, for those of its values that name no plugin."""
    values = []
    for value in read_event(data, {})[1]:
        added = b"" if plugin_of(value.metadata) else metadata.get(value.tag, b"")
        values.append(data[value.start : value.end] + (write_field(METADATA, added) if added else b""))
    return _with_values(data, values)


def _with_values(data: bytes, values: Sequence[bytes]) -> bytes:
    """The event with these values in its summary, and all that is no value as it was."""
    others, rest = b"", b""
    for number, wire, start, begin, stop in read_fields(data, 0, len(data)):
        if number == SUMMARY and wire == BYTES:
            rest += b"".join(data[at:end] for inner, _, at, _, end in read_fields(data, begin, stop) if inner != 1)
        else:
            others += data[start:stop]
    return others + write_field(SUMMARY, b"".join(write_field(1, value) for value in values) + rest)


def lacks_metadata(data: bytes, key: Key, plugins: Mapping[str, str]) -> bool:
    """Whether the event's values of a series come without metadata that names their plugin."""
    return any((one.tag, one.kind) == key and not plugin_of(one.metadata) for one in read_event(data, plugins)[1])


def _recode(held: bytes, recode: Callable[[bytes], bytes]) -> bytes:
    """A Summary.Value with its images encoded anew, whichever of the two ways it has them; else as it was."""
    with contextlib.suppress(ValueError, IndexError):
        return _recode_value(held, recode)
    return held


def _recode_value(held: bytes, recode: Callable[[bytes], bytes]) -> bytes:
    """Raises ValueError, IndexError for one that holds no message where an image is to be."""
    parts = []
    for number, wire, start, begin, stop in read_fields(held, 0, len(held)):
        part = held[start:stop]
        if number == IMAGE_FIELD and wire == BYTES:
            part = write_field(number, _recode_strings(held, begin, stop, ENCODED_IMAGE, 0, recode))
        elif number == TENSOR_FIELD and wire == BYTES:
            # Width and height come before the images.
            part = write_field(number, _recode_strings(held, begin, stop, STRING_VAL, 2, recode))
        parts.append(part)
    return b"".join(parts)


def _recode_strings(
    data: bytes, start: int, end: int, number: int, passed: int, recode: Callable[[bytes], bytes]
) -> bytes:
    """A message with the strings of field `number` encoded anew, but for the first `passed`."""
    parts, seen = [], 0
    for field, wire, at, begin, stop in read_fields(data, start, end):
        is_string = field == number and wire == BYTES
        seen += is_string
        is_image = is_string and seen > passed
        parts.append(write_field(number, recode(data[begin:stop])) if is_image else data[at:stop])
    return b"".join(parts)
