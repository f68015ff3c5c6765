"""What the process that tries a pipeline.config reports: the stage it is at, and in the end what failed."""

import enum
from dataclasses import asdict, dataclass
from pathlib import Path

from app.run.files import read_object, write_json
from app.run.lenient_json import Schema, text, yes_or_no


class Stage(enum.StrEnum):
    """The stages of a trial, in their order; the value is how messages name them."""

    MODEL = "building the model"
    OPTIMIZER = "building the optimizer"
    TRAINING_INPUT = "reading training images"
    TRAINING = "a training step"
    EVALUATION_INPUT = "reading evaluation images"
    EVALUATION = "an evaluation step"


def _stage(value: object) -> Stage | None:
    return next((stage for stage in Stage if stage.value == value), None)


REPORT = Schema({"stage": _stage, "ended": yes_or_no}, required=("stage", "ended"))
FAILURE = Schema({"message": text, "where": text, "of_records": yes_or_no}, required=("message",))


@dataclass(frozen=True)
class Failure:
    """An error as text. `where`: the config's field, where it is known. `of_records`: the data's fault."""

    message: str
    where: str = ""
    of_records: bool = False


@dataclass(frozen=True)
class TrialReport:
    """`ended`: whether the trial came to its end, which it did well if there is no `failure`."""

    stage: Stage
    ended: bool = False
    failure: Failure | None = None


def write_report(path: Path, report: TrialReport) -> None:
    """Writes `report` to the file `path`, whole."""
    write_json(path, asdict(report))


def read_report(path: Path) -> TrialReport | None:
    """The report in the file `path`; None where there is none, or it was written in part."""
    row = read_object(path, REPORT)
    if not row:
        return None
    if row.get("failure") is None:
        return TrialReport(row["stage"], row["ended"])
    failure = FAILURE.fit(row["failure"])
    if failure is None:
        return None
    what = Failure(failure["message"], failure.get("where", ""), failure.get("of_records", False))
    return TrialReport(row["stage"], row["ended"], what)
