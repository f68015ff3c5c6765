"""`export`: a checkpoint becomes what other programs load, held to what the checkpoint finds."""

from pathlib import Path

from app.checkpoint import resolve_checkpoint
from app.export import session
from app.odapi.models import load_models
from app.run.directory import find_run
from app.settings import Settings


def run(settings: Settings) -> session.Exported:
    """Writes the checkpoint that the settings name in each of the formats that they name."""
    run = find_run(settings.models_dir, settings.run_name)
    return session.export_formats(
        resolve_checkpoint(run, settings.checkpoint),
        settings.export_forms,
        load_models,
        signature_key=settings.signature_key,
        output=Path(settings.output).expanduser() if settings.output else None,
        images=settings.input,
    )
