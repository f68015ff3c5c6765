"""`migrate`: a TF1-era pipeline.config and its run settings become TF2's."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.environment import load
from app.errors import SettingsError
from app.protos.proto_text import read_proto_text
from app.run.directory import PIPELINE_CONFIG
from app.run.files import refuse_foreign, write_text
from app.settings import Settings, flag, variable

PAGE, ENVIRONMENT = "MIGRATION.md", "settings.env"


@dataclass(frozen=True)
class Migrated:
    """What `migrate` wrote. `changes` and `run_changes` have what, before, after, why; `left` is for the user."""

    folder: str
    config: str
    extractor_before: str
    extractor: str
    changes: list[Any]
    run_changes: list[Any]
    settings: dict[str, str]
    left: list[str]

    def __str__(self) -> str:
        lines = [f"{self.config}: {self.extractor_before} -> {self.extractor}"]
        if self.extractor_before == self.extractor:
            unchanged = "" if self.changes else ", nothing is changed"
            lines = [f"{self.config}: {self.extractor} is TF2's already{unchanged}"]
        for change in (*self.changes, *self.run_changes):
            lines.append(f"  {change.what}: {change.before} -> {change.after or 'dropped'} ({change.why})")
        lines += [f"left to you: {item}" for item in self.left]
        return "\n".join([*lines, f"train: {self.command}", f"all of it: {Path(self.folder) / PAGE}"])

    @property
    def command(self) -> str:
        """The command that trains, in one line."""
        from app.pipeline.migration import page

        return page.command(self.config, self.settings).replace(" \\\n    ", " ")


def run(settings: Settings) -> Migrated:
    """Writes pipeline.config, MIGRATION.md and settings.env. Raises SettingsError where there is no TF2 equivalent."""
    from app.pipeline.migration import convert, page

    source, arguments = _source(settings.input)
    folder = Path(settings.output) if settings.output else source.parent / f"{source.stem}-tf2"
    _check_folder(folder, source)
    text = read_proto_text(source, remedy="save it as UTF-8, in proto text, or name another one")
    made = convert.convert(text, arguments, where=str(source))
    # Each value is checked as a flag would be, before anything is written.
    load(made.settings, {}, None)
    config = folder / PIPELINE_CONFIG
    write_text(config, made.text)
    lines = [f"{variable(name)}={value}\n" for name, value in {"model": config.resolve(), **made.settings}.items()]
    write_text(folder / ENVIRONMENT, "".join(lines))
    write_text(
        folder / PAGE,
        page.text(
            source=str(source),
            config=str(config),
            changes=made.changes,
            run_changes=made.run_changes,
            settings=made.settings,
            left=made.left,
            diff=made.diff,
        ),
    )
    return Migrated(
        folder=str(folder),
        config=str(config),
        extractor_before=made.extractor[0],
        extractor=made.extractor[1],
        changes=made.changes,
        run_changes=made.run_changes,
        settings=made.settings,
        left=made.left,
    )


def _source(arguments: str) -> tuple[Path, list[str]]:
    """The config's path and the arguments after it."""
    first, *rest = arguments.split("\n")
    if not first:
        raise SettingsError("no pipeline.config is named", remedy="detbox migrate pipeline.config [key=value ...]")
    path = Path(first)
    if path.is_dir():
        path = path / PIPELINE_CONFIG
    if not path.is_file():
        raise SettingsError("there is no such file", where=str(path), remedy="the TF1 pipeline.config comes first")
    return path, [word for word in rest if word]


def _check_folder(folder: Path, source: Path) -> None:
    """Refuses to write over the source, or over a config that `migrate` did not write."""
    refuse_foreign(
        folder,
        lambda path: path.name != PIPELINE_CONFIG or ((folder / PAGE).is_file() and not path.samefile(source)),
        remedy=f"another folder: {flag('output')}",
    )
