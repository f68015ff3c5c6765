"""Names of the zoo's models as folders on this machine."""

import logging
from pathlib import Path

from app.pipeline import origin
from app.pipeline.zoo import catalogue, store
from app.progress import shown

logger = logging.getLogger(__name__)


def zoo_folder(models_dir: Path, zoo_dir: Path) -> Path:
    """The folder of the zoo's models. It is absolute, as it ends up in the pipeline.config."""
    return models_dir.resolve() / zoo_dir


def fetch_model(model: catalogue.Model, folder: Path, mirror: str) -> store.Stored:
    """The model in `folder`, fetched from `mirror` with its progress shown if it is not there yet."""
    with shown(f"fetching {model.name}", in_units_of_bytes=True) as progress:
        stored = store.fetch(model, folder, mirror, progress=progress)
    if stored.is_new:
        logger.info("zoo | %s is in %s, sha256 %s", model.name, stored.folder, stored.record["sha256"])
    return stored


def resolve_names(model: str, fine_tune_checkpoint: str, folder: Path, mirror: str) -> tuple[str, str]:
    """`model` and `fine_tune_checkpoint` with a name of the zoo replaced by the model's folder, fetched if need be.

    A zoo's model starts from its own checkpoint unless another, or none, is asked for. Presets and paths come first.
    """
    fine_tune = _folder_of(fine_tune_checkpoint, folder, mirror) or fine_tune_checkpoint
    found = "" if model in origin.presets() else _folder_of(model, folder, mirror)
    return (found, fine_tune or found) if found else (model, fine_tune)


def _folder_of(name: str, folder: Path, mirror: str) -> str:
    known = None if not name or Path(name).exists() else catalogue.find(name)
    return str(fetch_model(known, folder, mirror).folder) if known else ""
