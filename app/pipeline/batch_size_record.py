"""The batch size that was chosen for a run, with what was tried: in its `run.json`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.humanize import format_bytes
from app.pipeline.batch_search import Try
from app.run.directory import Run
from app.run.files import read_object, write_json
from app.run.lenient_json import Schema, count, listed, number, text, yes_or_no
from app.run.provenance import BATCH_SEARCH


@dataclass(frozen=True)
class BatchSize:
    """`batch_size`: images a step over all replicas. `why`: it is no larger. `bound`: what the memory was held to.

    `machine`: where it was found. `key`: stands for what it was found for.
    """

    batch_size: int
    why: str
    bound: str
    machine: str
    key: str
    tries: tuple[Try, ...] = ()

    def __str__(self) -> str:
        return f"{self.batch_size} on {self.machine}, since {self.why} (held to {self.bound})"

    def rows(self) -> list[tuple[str, str, str, str]]:
        """A row for each try: images, peak memory, images/s, whether it fits."""
        return [
            (
                str(one.images),
                format_bytes(one.bytes) if one.bytes else "",
                f"{one.images_per_sec:.3g}" if one.images_per_sec else "",
                "fits" if one.fits else one.why,
            )
            for one in self.tries
        ]

    def table(self) -> list[str]:
        """Lines for a log: the rows beneath their heads."""
        return [f"{a:>7}  {b:>9}  {c:>8}  {d}" for a, b, c, d in [HEADS, *self.rows()]]


HEADS = ("images", "memory", "images/s", "outcome")


def read(run: Run) -> BatchSize | None:
    """The run's; None where none was searched for."""
    return from_provenance(read_object(run.provenance))


def from_provenance(provenance: Mapping[str, Any]) -> BatchSize | None:
    """What the content of a `run.json` has of it, or None."""
    row = RECORD.fit(provenance.get(BATCH_SEARCH))
    return BatchSize(**{key: row[key] for key in RECORD.required}) if row and row["batch_size"] else None


def write(run: Run, chosen: BatchSize) -> None:
    """Records it, beside what else the run's provenance has."""
    write_json(run.provenance, read_object(run.provenance) | {BATCH_SEARCH: asdict(chosen)})


def _tries(value: Any) -> tuple[Try, ...]:
    rows: Sequence[dict[str, Any] | None] = [TRY.fit(row) for row in listed(value)]
    return tuple(Try(**{key: row[key] for key in TRY.required}) for row in rows if row)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


TRY = Schema(
    {"images": count, "fits": yes_or_no, "bytes": count, "images_per_sec": number, "why": _text},
    required=("images", "fits", "bytes", "images_per_sec", "why"),
)
RECORD = Schema(
    {"batch_size": count, "why": text, "bound": text, "machine": text, "key": text, "tries": _tries},
    required=("batch_size", "why", "bound", "machine", "key", "tries"),
)
