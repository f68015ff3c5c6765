"""What the process that tries a batch reports: what it is at, what its steps took, in the end what failed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.run.files import read_object, write_json
from app.run.lenient_json import Schema, count, listed, number, text, yes_or_no


def _seconds(value: Any) -> tuple[float, ...]:
    return tuple(one for one in map(number, listed(value)) if one is not None)


REPORT = Schema(
    {
        "doing": text, "seconds": _seconds, "peak_bytes": count, "limit_bytes": count, "device": text,
        "ended": yes_or_no, "failure": text, "out_of_memory": yes_or_no, "of_records": yes_or_no,
    },
    required=("doing",),
)  # fmt: skip


@dataclass(frozen=True)
class BatchReport:
    """`seconds`: of each step, the first compiles. `peak_bytes` of `device` (`GPU` or `host`), which has `limit_bytes`,
    0 where it is not known. `ended`: it has come to its end, which it did well without a `failure`."""

    doing: str
    seconds: tuple[float, ...] = ()
    peak_bytes: int = 0
    limit_bytes: int = 0
    device: str = "host"
    ended: bool = False
    failure: str = ""
    out_of_memory: bool = False
    of_records: bool = False


def write_batch_report(path: Path, report: BatchReport) -> None:
    """Writes `report` to the file `path`, whole."""
    write_json(path, asdict(report))


def read_batch_report(path: Path) -> BatchReport | None:
    """The report in the file `path`; None where there is none."""
    row: Mapping[str, Any] = read_object(path, REPORT)
    return BatchReport(**{name: row[name] for name in REPORT.types if name in row}) if row else None
