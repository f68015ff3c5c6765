"""`export`: a checkpoint becomes what other programs load, held to what the checkpoint finds."""

from pathlib import Path

from app.checkpoint import resolve_checkpoint
from app.errors import SettingsError
from app.export import session
from app.odapi.models import load_models
from app.run.directory import Run, find_run
from app.settings import Settings, flag


def run(settings: Settings) -> session.Exported:
    """Writes the checkpoint that the settings name in each of the formats that they name."""
    run = find_run(settings.models_dir, settings.run_name)
    return session.export_formats(
        resolve_checkpoint(run, settings.checkpoint),
        settings.export_forms,
        load_models,
        Path(settings.output).expanduser() if settings.output else _exports_of(run),
        signature_key=settings.signature_key,
        images=settings.input,
    )


def _exports_of(run: Run) -> Path:
    if not run.root.is_dir():
        raise SettingsError(
            "there is no such run to put exports in",
            where=str(run.root),
            remedy=f"name the run or another folder: {flag('run')}, {flag('output')}",
        )
    return run.exports
