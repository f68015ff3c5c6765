"""The detector that settings name: a run's best checkpoint, a file or folder, or a server."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app import runs
from app.errors import DetboxError, SettingsError
from app.export.loading import Loaded
from app.settings import Settings

logger = logging.getLogger(__name__)

DEFAULT_SCORE = 0.4
"""Where no evaluation tells the score from which a detection is more likely right than wrong."""


@dataclass(frozen=True)
class Chosen:
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


def choose(settings: Settings, run: runs.Run) -> Chosen:
    """The detector of the settings, loaded, with labels and thresholds. Raises SettingsError, DetboxError."""
    from app.export import companions

    if settings.detector and settings.server:
        raise SettingsError(
            "detector and server are both given",
            remedy="one of --detector / DETBOX_DETECTOR and --server / DETBOX_SERVER",
        )
    given = _given_names(settings)
    if settings.server:
        from app.export.serving_client import ServedModel

        detector = ServedModel(settings.server, settings.serving_name or settings.run)
        return Chosen(detector, detector.url, given or _names_of_run(settings, run), _thresholds_of_run(settings, run))
    path = Path(settings.detector).expanduser() if settings.detector else _best(run)
    cards = list(companions.cards(path))
    beside = companions.label_map(path)
    names = (
        given
        or (companions.read_label_map(beside) if beside else {})
        or next(filter(None, map(companions.names_of_card, cards)), {})
        or _names_of_run(settings, run)
    )
    thresholds = next(filter(None, map(companions.thresholds_of_card, cards)), {})
    detector, words = _load(path)
    if not names:
        logger.warning("no label map beside %s: classes go by number -> --label_map / DETBOX_LABEL_MAP", path)
    return Chosen(detector, words, names, thresholds or _thresholds_of_run(settings, run))


def _load(path: Path) -> tuple[Loaded, str]:
    """TensorFlow is started and the model loaded; with a word for it."""
    from app.odapi import runtime

    checkpoint = checkpoint_at(path)
    # Before TensorFlow is, which takes seconds.
    config = _pipeline_config(checkpoint) if checkpoint else None
    runtime.start(use_gpu=True)
    if checkpoint and config:
        from app.odapi.detection import Detector

        return Detector(config, checkpoint), f"checkpoint {checkpoint}"
    from app.export import loading

    loaded = loading.load(path)
    return loaded, f"{loaded.form} {path}"


def checkpoint_at(path: Path) -> Path | None:
    """The prefix of the checkpoint that `path` stands for, or None if it is none.

    `path`: a prefix, one of its files, or a folder with one checkpoint in it or in `checkpoint/`, as the model zoo
    has; not a folder with a SavedModel, which is the quicker way to the same detector.
    """
    if path.is_dir():
        if any((folder / "saved_model.pb").is_file() for folder in (path, path / "saved_model")):
            return None
        found = [*path.glob("*.index"), *path.glob("checkpoint/*.index")]
        if len(found) > 1:
            raise SettingsError(
                f"there are {len(found)} checkpoints",
                where=str(path),
                remedy=f"name one, as {found[0].with_suffix('')}: --detector / DETBOX_DETECTOR",
            )
        return found[0].with_suffix("") if found else None
    if path.suffix == ".index" or ".data-" in path.name:
        return path.with_name(path.name.partition(".data-")[0].removesuffix(".index"))
    return path if path.with_name(f"{path.name}.index").is_file() else None


def _pipeline_config(checkpoint: Path) -> Path:
    for folder in (checkpoint.parent, checkpoint.parent.parent):
        if (folder / "pipeline.config").is_file():
            return folder / "pipeline.config"
    raise SettingsError(
        "there is no pipeline.config beside this checkpoint or above it",
        where=str(checkpoint),
        remedy="put it there, or give an exported model: --detector / DETBOX_DETECTOR",
    )


def _best(run: runs.Run) -> Path:
    best = runs.read_json(run.best_card)
    if best is None:
        raise DetboxError(
            "this run has no best checkpoint",
            where=str(run.root),
            remedy="detbox evaluate --once, or name a model: --run, --detector",
        )
    return run.best / best["checkpoint"]


def _given_names(settings: Settings) -> dict[int, str]:
    from app.export import companions

    if not settings.label_map:
        return {}
    try:
        return companions.read_label_map(Path(settings.label_map).expanduser())
    except OSError as error:
        raise SettingsError(
            error.strerror or "can't be read", where=settings.label_map, remedy="--label_map / DETBOX_LABEL_MAP"
        ) from None


def _names_of_run(settings: Settings, run: runs.Run) -> dict[int, str]:
    """Those of the run that was named; one that has the default name has nothing to do with the model."""
    from app.export import companions

    return companions.read_label_map(run.label_map) if settings.run and run.label_map.is_file() else {}


def _thresholds_of_run(settings: Settings, run: runs.Run) -> dict[str, float]:
    from app.export import companions

    card = runs.read_json(run.best_card) if settings.run else None
    return companions.thresholds_of_card(card) if isinstance(card, dict) else {}
