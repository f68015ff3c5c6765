"""Event files that other writers and other hands have had, for the readers of `events stats` and `events compact`."""

import contextlib
import os
from pathlib import Path
from random import Random

from event_logs import tf1_log, torch_log, upstream_log
from mutations import mutate

from app.events.frame_reader import FrameReader
from app.events.wire import BYTES, VARINT, read_fields, write_field, write_varint
from app.jobs import events_compact, events_stats
from app.settings import Settings
from app.tfrecord import frame
from entrypoint.results import present

NUMBERS = (0, 1, 2, 9, 127, 128, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1)
FIXED = (
    b"\0",
    b"\xff",
    b"\0\0\xc0\x7f",
    b"\0\0\x80\xff",
    b"\0\0\0\0\0\0\xf8\x7f",
    b"\0\0\0\0\0\0\xf0\xff",
    b"\x01\0\0\0",
)
"""Zeros, numbers that are none, infinities, the least."""
BUDGETS = ("0", "1", "20KB")


def written(folder: Path) -> None:
    """Logs of TF1, PyTorch and upstream's loop after three resumes, the last of its files cut."""
    tf1_log(folder / "log/tf1", steps=6)
    torch_log(folder / "log/torch", steps=6)
    upstream_log(folder / "log/upstream")


def stats_read(folder: Path) -> None:
    for as_json in (False, True):
        present(events_stats.run(Settings(input=str(folder / "log"))), as_json=as_json).encode("utf-8")


def compact_read(folder: Path) -> None:
    for budget in BUDGETS:
        output = folder / "out" / budget
        result = events_compact.run(Settings(input=str(folder / "log"), output=str(output), event_log_budget=budget))
        present(result, as_json=False).encode("utf-8")
        present(result, as_json=True).encode("utf-8")
    # What was made is read without a fault.
    for log in events_stats.run(Settings(input=str(folder / "out/0"))).logs:
        assert not any(file.faults for file in log.files), log.files


def cadence_read(folder: Path) -> None:
    for path in (folder / "log").rglob("*tfevents*"):
        if path.is_file():
            os.utime(path, (1, 1))  # Else it may be that it is still written.
    given = {"input": str(folder / "log"), "event_log_budget": "0", "in_place": True}
    events_compact.run(Settings(**given, tag_every_n="*images*=300,input/*=0,*=7"))


def events_changed(random: Random, folder: Path) -> str:
    """Events whose checksums are right, and whose fields are of other kinds, lengths, numbers and values."""
    told = []
    for path in random.sample(sorted((folder / "log").rglob("*tfevents*")), random.choice((1, 1, 2, 6))):
        rows = [data for _, data in FrameReader(path)]
        for at in random.sample(range(len(rows)), min(len(rows), random.choice((1, 2, 5, 30)))):
            rows[at] = _change(random, rows[at], random.choice(rows))
            told.append(f"{path.parent.name}, event {at}: {rows[at][:80]!r}")
        path.write_bytes(b"".join(map(frame, rows)))
    return "\n       ".join(told[:40])


def _change(random: Random, message: bytes, another: bytes) -> bytes:
    """One field of a message, or of a message in it, changed; the lengths around it are right."""
    fields = []
    with contextlib.suppress(ValueError, IndexError):
        fields = list(read_fields(message, 0, len(message)))
    if not fields or random.random() < 0.1:
        return mutate(random, message, another)
    number, wire, start, begin, stop = random.choice(fields)
    key, held = message[start:begin], message[begin:stop]
    if wire == BYTES and random.random() < 0.75:
        new = write_field(number, _change(random, held, another))
    else:
        new = random.choice((
            b"", key + held + key + held, write_varint(number << 3 | VARINT) + write_varint(random.choice(NUMBERS)),
            write_field(number, random.choice((b"", b"\xff\x1b[31m\n", random.randbytes(9), another))),
            write_varint(number << 3 | 1) + (random.choice(FIXED) * 8)[:8],
            write_varint(number << 3 | 5) + (random.choice(FIXED) * 4)[:4],
            write_varint(random.choice(range(1, 16)) << 3 | wire) + message[begin - (wire == BYTES) : stop],
        ))  # fmt: skip
    return message[:start] + new + message[stop:]
