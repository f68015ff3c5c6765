"""The detector that a user names: a run's best checkpoint, a file or folder, or a server."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.checkpoint import Checkpoint, find_prefixes, resolve_checkpoint, unknown_checkpoint
from app.detection import sidecar_files
from app.detection.loader import Loaded
from app.errors import SettingsError
from app.protos.label_map import read_class_names
from app.run.directory import Run
from app.run.evaluations import read_best
from app.settings import flag

logger = logging.getLogger(__name__)

REMEDY = f"name one checkpoint, or an exported model: {flag('detector')}"
DEFAULT_SCORE = 0.4
"""Where no evaluation tells the score from which a detection is more likely a true positive than a false one."""


@dataclass(frozen=True)
class ResolvedDetector:
    """A detector with what is known of it.

    `description`: what it is, for people. `names`: class ids to names. `thresholds`: the F1-optimal score by class
    name.
    """

    detector: Loaded
    description: str
    names: Mapping[int, str]
    thresholds: Mapping[str, float]

    def name(self, class_id: int) -> str:
        """The class's name, `class 3` where there is none."""
        return self.names.get(class_id) or f"class {class_id}"

    def threshold(self, class_id: int, given: float | None) -> float:
        """The score from which a detection of the class counts: as given, else F1-optimal, else the default."""
        return self.thresholds.get(self.name(class_id), DEFAULT_SCORE) if given is None else given


def resolve_detector(
    run: Run,
    load: Callable[[Path, Checkpoint | None], Loaded],
    *,
    detector: str,
    server: str,
    served_model: str,
    label_map: str,
    run_is_named: bool,
) -> ResolvedDetector:
    """The detector, loaded, with labels and thresholds: `server`'s, else what `detector` names, else `run`'s best.

    `load(path, checkpoint)` starts TensorFlow and loads the checkpoint, or without one what is in `path`.
    `label_map`: a file that names the classes, before all that lies beside the model. `run_is_named`: a run of the
    default name has nothing to do with the model. Raises SettingsError, DetboxError.
    """
    if detector and server:
        raise SettingsError(
            "detector and server are both given", remedy=f"one of {flag('detector')} and {flag('server')}"
        )
    given = _given_names(label_map)
    names_of_run = read_class_names(run.label_map) if run_is_named and run.label_map.is_file() else {}
    thresholds_of_run = sidecar_files.thresholds_of_card(read_best(run)) if run_is_named else {}
    if server:
        from app.detection.serving_client import ServedModel

        served = ServedModel(server, served_model)
        return ResolvedDetector(served, served.url, given or names_of_run, thresholds_of_run)
    path = Path(detector).expanduser() if detector else resolve_checkpoint(run, "best").prefix
    cards = list(sidecar_files.cards(path))
    beside = sidecar_files.label_map(path)
    names = (
        given
        or (read_class_names(beside) if beside else {})
        or next(filter(None, map(sidecar_files.names_of_card, cards)), {})
        or names_of_run
    )
    thresholds = next(filter(None, map(sidecar_files.thresholds_of_card, cards)), {})
    checkpoint = checkpoint_at(path)
    loaded = load(path, checkpoint)
    if not names:
        logger.warning("no label map beside %s: classes go by number -> %s", path, flag("label_map"))
    description = f"{loaded.form} {checkpoint.prefix if checkpoint else path}"
    return ResolvedDetector(loaded, description, names, thresholds or thresholds_of_run)


def checkpoint_at(path: Path) -> Checkpoint | None:
    """The checkpoint that `path` stands for, or None if it is none.

    A folder that has a SavedModel as well is taken for that, the quicker way to the same detector.
    """
    if path.is_dir() and any((folder / "saved_model.pb").is_file() for folder in (path, path / "saved_model")):
        return None
    found = find_prefixes(path)
    if len(found) > 1:
        raise SettingsError(f"there are {len(found)} checkpoints", where=str(path), remedy=REMEDY)
    return unknown_checkpoint(found[0]) if found else None


def _given_names(label_map: str) -> dict[int, str]:
    if not label_map:
        return {}
    try:
        return read_class_names(Path(label_map).expanduser())
    except OSError as error:
        raise SettingsError(error.strerror or "can't be read", where=label_map, remedy=flag("label_map")) from None
