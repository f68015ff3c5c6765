"""What the process that tries a pipeline.config reports: the stage it is at, and in the end what failed."""

import enum
from dataclasses import asdict, dataclass
from pathlib import Path

from app.run.files import read_json, write_json


class Stage(enum.StrEnum):
    """The stages of a trial, in their order; the value is how messages name them."""

    MODEL = "building the model"
    OPTIMIZER = "building the optimizer"
    TRAINING_INPUT = "reading training images"
    TRAINING = "a training step"
    EVALUATION_INPUT = "reading evaluation images"
    EVALUATION = "an evaluation step"


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
    """The report in the file `path`; None where there is none."""
    row = read_json(path)
    if not isinstance(row, dict):
        return None
    failure = Failure(**row["failure"]) if row["failure"] else None
    return TrialReport(Stage(row["stage"]), bool(row["ended"]), failure)
