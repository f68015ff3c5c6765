"""Where a run's pipeline.config comes from: a preset, a file, or the checkpoint that is fine-tuned."""

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from app import host_paths
from app.errors import SettingsError, nearest
from app.pipeline.zoo import catalogue
from app.protos import pipeline_config
from app.protos.pipeline_config import PipelineConfig
from app.run.directory import PIPELINE_CONFIG
from app.settings import flag, variable

DEFAULT_PRESET = "tiny"
RANDOM_WEIGHTS = "none"
"""The `fine_tune_checkpoint` that stands for no checkpoint, whatever the model has."""
NUMBERED = re.compile(r"(?P<prefix>.*-(?P<number>\d+))\.index")


@dataclass(frozen=True)
class Origin:
    """A pipeline.config before it is edited; `name` is its path, or `preset NAME`."""

    name: str
    config: PipelineConfig


def presets() -> list[str]:
    """Names of the presets that come with detbox."""
    folder = resources.files("app.pipeline") / "presets"
    return sorted(entry.name.removesuffix(".config") for entry in folder.iterdir() if entry.name.endswith(".config"))


def preset_text(name: str) -> str:
    """The proto text of a preset."""
    return (resources.files("app.pipeline") / "presets" / f"{name}.config").read_text(encoding="utf-8")


def find_origin(model: str, fine_tune_checkpoint: str) -> Origin:
    """The config that `model` names; if empty, the one beside the checkpoint; if that is empty too, `tiny`.

    A model of the zoo is given as the folder that it was fetched to. Raises SettingsError if there is none, or it
    does not parse.
    """
    if not model and fine_tune_checkpoint not in ("", RANDOM_WEIGHTS):
        path = config_beside(fine_tune_checkpoint)
        if path is None:
            raise SettingsError(
                f"no {PIPELINE_CONFIG} lies beside this checkpoint, so its model is unknown",
                where=fine_tune_checkpoint,
                remedy=f"name the model: {flag('model')}",
            )
        return _read(path)
    name = model or DEFAULT_PRESET
    if name in presets():
        return Origin(f"preset {name}", pipeline_config.parse_pipeline(preset_text(name), where=f"preset {name}"))
    path = Path(name)
    if path.is_dir():
        path = path / PIPELINE_CONFIG
    if not path.is_file():
        near = list(filter(None, [nearest(name, presets()), catalogue.nearest(name)]))
        hint = f"did you mean {' or '.join(near)}?" if near else f"presets: {', '.join(presets())}; or detbox zoo list"
        if "/" in name:
            hint = host_paths.hint(name, f"{variable('model')}=") or hint
        raise SettingsError(
            f"model {name!r} is neither a preset nor a name in the zoo nor a pipeline.config",
            remedy=f"{hint} ({flag('model')})",
        )
    return _read(path)


def checkpoint_prefix(path: str) -> str:
    """The prefix of the checkpoint that `path` means: itself, or the newest in it or in its folder
    `checkpoint`.

    The result starts with `path` as given: it is read in another container. Raises SettingsError if there is
    none.
    """
    given = path.rstrip("/")
    if Path(f"{given}.index").is_file():
        return given
    for name in (given.removesuffix(".index"), re.sub(r"\.data-\d+-of-\d+$", "", given)):
        if name != given and Path(f"{name}.index").is_file():
            return name
    for folder in (f"{given}/checkpoint", given):
        found = [match for entry in _entries(folder) if (match := NUMBERED.fullmatch(entry))]
        if found:
            newest = max(found, key=lambda match: int(match["number"]))
            return f"{folder}/{newest['prefix']}"
    remedy = f"a folder in the model zoo's layout, or a prefix such as .../ckpt-0: {flag('fine_tune_checkpoint')}"
    if not Path(given).parent.is_dir() or not Path(given).exists():
        remedy = host_paths.hint(path, f"{variable('fine_tune_checkpoint')}=") or remedy
    raise SettingsError("is not a TF2 checkpoint: no ckpt-N.index there", where=path, remedy=remedy)


def config_beside(checkpoint: str) -> Path | None:
    """The pipeline.config in the checkpoint's folder, or one above it (the zoo's layout)."""
    folder = Path(checkpoint_prefix(checkpoint)).parent
    candidates = [folder / PIPELINE_CONFIG]
    if folder.name == "checkpoint":
        candidates.append(folder.parent / PIPELINE_CONFIG)
    return next((path for path in candidates if path.is_file()), None)


def _entries(folder: str) -> list[str]:
    path = Path(folder)
    return [entry.name for entry in path.iterdir()] if path.is_dir() else []


def _read(path: Path) -> Origin:
    config = pipeline_config.read_pipeline(path, remedy=f"a pipeline.config in UTF-8: {flag('model')}")
    _resolve_keypoint_map(config, path.parent)
    return Origin(str(path), config)


def _resolve_keypoint_map(config: PipelineConfig, folder: Path) -> None:
    """Makes the path of a label map in the working directory, or else in `folder`, absolute: services have others."""
    model = config.model.center_net
    for base in (Path(), folder):
        found = base / model.keypoint_label_map_path
        if model.keypoint_label_map_path and found.is_file():
            model.keypoint_label_map_path = str(found.resolve())
            return
