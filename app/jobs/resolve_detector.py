"""The detector that settings name: a run's best checkpoint, a file or folder, or a server."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app import checkpoint
from app.checkpoint import Checkpoint
from app.detection.loader import Loaded
from app.errors import SettingsError
from app.run.directory import Run
from app.run.files import read_json
from app.settings import Settings, flag

logger = logging.getLogger(__name__)

REMEDY = f"name one checkpoint, or an exported model: {flag('detector')}"
DEFAULT_SCORE = 0.4
"""Where no evaluation tells the score from which a detection is more likely right than wrong."""


@dataclass(frozen=True)
class ResolvedDetector:
    """A detector with what is known of it.

    `words`: what it is, for people. `names`: class ids to names. `thresholds`: the F1-optimal score by class name.
    """

    detector: Loaded
    words: str
    names: Mapping[int, str]
    thresholds: Mapping[str, float]

    def name(self, class_id: int) -> str:
        """The class's name, `class 3` where there is none."""
        return self.names.get(class_id) or f"class {class_id}"

    def threshold(self, class_id: int, given: float | None) -> float:
        """The score from which a detection of the class counts: as given, else F1-optimal, else the default."""
        return self.thresholds.get(self.name(class_id), DEFAULT_SCORE) if given is None else given


def needs_run(settings: Settings) -> bool:
    """Whether the run itself detects."""
    return not settings.detector and not settings.server


def resolve_detector(settings: Settings, run: Run) -> ResolvedDetector:
    """The detector of the settings, loaded, with labels and thresholds. Raises SettingsError, DetboxError."""
    from app.detection import sidecar_files

    if settings.detector and settings.server:
        raise SettingsError(
            "detector and server are both given",
            remedy=f"one of {flag('detector')} and {flag('server')}",
        )
    given = _given_names(settings)
    if settings.server:
        from app.detection.serving_client import ServedModel

        detector = ServedModel(settings.server, settings.serving_name or settings.run)
        return ResolvedDetector(
            detector, detector.url, given or _names_of_run(settings, run), _thresholds_of_run(settings, run)
        )
    path = (
        Path(settings.detector).expanduser() if settings.detector else checkpoint.resolve_checkpoint(run, "best").prefix
    )
    cards = list(sidecar_files.cards(path))
    beside = sidecar_files.label_map(path)
    names = (
        given
        or (sidecar_files.read_class_names(beside) if beside else {})
        or next(filter(None, map(sidecar_files.names_of_card, cards)), {})
        or _names_of_run(settings, run)
    )
    thresholds = next(filter(None, map(sidecar_files.thresholds_of_card, cards)), {})
    detector, words = _load(path)
    if not names:
        logger.warning(f"no label map beside %s: classes go by number -> {flag('label_map')}", path)
    return ResolvedDetector(detector, words, names, thresholds or _thresholds_of_run(settings, run))


def _load(path: Path) -> tuple[Loaded, str]:
    """TensorFlow is started and the model loaded; with a word for it."""
    from app.odapi import runtime

    checkpoint = checkpoint_at(path)
    runtime.start(use_gpu=True)
    if checkpoint:
        from app.odapi.checkpoint_detector import CheckpointDetector

        return CheckpointDetector(checkpoint.pipeline_config, checkpoint.prefix), f"checkpoint {checkpoint.prefix}"
    from app.detection import loader

    loaded = loader.load(path)
    return loaded, f"{loaded.form} {path}"


def checkpoint_at(path: Path) -> Checkpoint | None:
    """The checkpoint that `path` stands for, or None if it is none.

    A folder that has a SavedModel as well is taken for that, the quicker way to the same detector.
    """
    if path.is_dir() and any((folder / "saved_model.pb").is_file() for folder in (path, path / "saved_model")):
        return None
    found = checkpoint.prefixes(path)
    if len(found) > 1:
        raise SettingsError(f"there are {len(found)} checkpoints", where=str(path), remedy=REMEDY)
    return checkpoint.alone(found[0]) if found else None


def _given_names(settings: Settings) -> dict[int, str]:
    from app.detection import sidecar_files

    if not settings.label_map:
        return {}
    try:
        return sidecar_files.read_class_names(Path(settings.label_map).expanduser())
    except OSError as error:
        raise SettingsError(
            error.strerror or "can't be read", where=settings.label_map, remedy=flag("label_map")
        ) from None


def _names_of_run(settings: Settings, run: Run) -> dict[int, str]:
    """Those of the run that was named; one that has the default name has nothing to do with the model."""
    from app.detection import sidecar_files

    return sidecar_files.read_class_names(run.label_map) if settings.run and run.label_map.is_file() else {}


def _thresholds_of_run(settings: Settings, run: Run) -> dict[str, float]:
    from app.detection import sidecar_files

    card = read_json(run.best_card) if settings.run else None
    return sidecar_files.thresholds_of_card(card) if isinstance(card, dict) else {}
