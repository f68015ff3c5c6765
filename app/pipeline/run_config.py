"""A run's own pipeline.config, and whether a hand has changed it since it was written or taken to train with."""

import hashlib
import logging

from app import text_files
from app.errors import DetboxError, SettingsError
from app.pipeline import build
from app.pipeline.build import Pipeline
from app.protos import pipeline_config
from app.run.directory import Run
from app.run.files import read_object, write_json, write_text
from app.run.heartbeat import first_line
from app.run.rollbacks import read_rollbacks
from app.settings import flag

log = logging.getLogger(__name__)

KEY = "pipeline_sha256"
"""In `run.json`."""


def write_pipeline(run: Run, pipeline: Pipeline) -> None:
    """Writes the run's pipeline.config, and what differs from its origin. One that was changed by hand is kept."""
    if has_changed(run):
        write_text(run.pipeline_by_hand, text_files.read(run.pipeline_config))
        kept, remedy = run.pipeline_by_hand.name, flag("config_override")
        log.warning(
            "%s was changed by hand, and is made anew; kept as %s -> changes: %s", run.pipeline_config, kept, remedy
        )
    write_text(run.pipeline_diff, pipeline.diff)
    write_text(run.pipeline_config, pipeline.text)
    record_pipeline(run)


def lower_rate(run: Run) -> None:
    """Has the run's pipeline.config learn at the rate of the run's rollbacks, if it does not yet."""
    config = pipeline_config.read_pipeline(run.pipeline_config)
    if build.lower_rate(config, read_rollbacks(run)):
        write_text(run.pipeline_config, pipeline_config.print_pipeline(config))
        record_pipeline(run)


def record_pipeline(run: Run) -> None:
    """Records the pipeline.config as it is now."""
    write_json(run.provenance, read_object(run.provenance) | {KEY: _hash(run)})


def has_changed(run: Run) -> bool:
    """Whether the pipeline.config is another than was recorded; False where nothing was."""
    known, now = read_object(run.provenance).get(KEY), _hash(run)
    return None not in (known, now) and known != now


def is_misfit(error: Exception) -> bool:
    """TensorFlow's words for a checkpoint whose values find no variable, or one of another shape."""
    return isinstance(error, AssertionError) or "incompatible tensor with shape" in str(error)


def refusal(run: Run, error: Exception) -> SettingsError | None:
    """The error to end with where `error` is owed to a pipeline.config that is not the checkpoint's; else None."""
    changed = has_changed(run)
    if isinstance(error, DetboxError) or not (changed or is_misfit(error)):
        return None
    return SettingsError(
        f"{'was changed by hand, and ' if changed else ''}does not fit the checkpoint: {first_line(error)}",
        where=str(run.pipeline_config),
        remedy=f"put back the one that the run was trained with, or start another run: {flag('run', 'NAME')}",
    )


def _hash(run: Run) -> str | None:
    try:
        return hashlib.sha256(run.pipeline_config.read_bytes()).hexdigest()
    except OSError:
        return None
