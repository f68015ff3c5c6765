"""Settings from where people give them: flags, the environment, `.env`."""

import dataclasses
import io
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from app import compose_variables, text_files
from app.compose_variables import NOT_SETTINGS
from app.errors import SettingsError, did_you_mean
from app.settings import FIELDS, PREFIX, Settings, as_text, document, flag, is_given, variable

COMPOSE = f"{PREFIX}COMPOSE"
"""Set by compose.yaml in its containers."""
GIVEN = f"{PREFIX}GIVEN"
"""What the process that started this one was given; all else that it passes on are its defaults."""

OLD_TEXTS = {
    "mixed_precision": dict.fromkeys(("true", "1", "yes"), "auto") | dict.fromkeys(("false", "0", "no"), "off"),
}
"""What values of settings were called before, and are called now."""


def load(
    flags: Mapping[str, str | None] | None = None,
    environ: Mapping[str, str] | None = None,
    dotenv: Path | None = Path(".env"),
) -> Settings:
    """Settings from flags over environment over `.env` over defaults.

    Raises SettingsError with one line that names the source of the first wrong value, or an unknown variable.
    """
    environ = os.environ if environ is None else environ
    known = {variable(name): name for name in FIELDS}
    values: dict[str, str] = {}
    sources: dict[str, str] = {}
    for kind, mapping in ((str(dotenv), _read_dotenv(dotenv)), ("environment", environ)):
        # What others have in the environment is no business of ours; compose's containers have what .env holds.
        if (kind != "environment" or COMPOSE in environ) and (
            name := compose_variables.find_misspelt(name for name in mapping if name not in NOT_SETTINGS)
        ):
            raise _unknown(name, compose_variables.NAMES, f"{kind}: variable")
        for key, value in mapping.items():
            if not key.startswith(PREFIX) or key in NOT_SETTINGS or key == GIVEN:
                continue
            if key not in known:
                raise _unknown(key, [*known, *sorted(NOT_SETTINGS)], f"{kind}: variable")
            if value and "\0" in value:
                raise SettingsError("has a NUL in it", where=f"{kind}: {key}", remedy=f"--{known[key]} / {key}")
            if value:
                values[known[key]], sources[known[key]] = value, f"{kind}: {key}"
    given = set(environ[GIVEN].split(",")) & set(values) if GIVEN in environ else set(values)
    for name, value in (flags or {}).items():
        if name not in FIELDS:
            raise _unknown(f"--{name}", [f"--{n}" for n in FIELDS], "flag")
        if value is not None and value != "":
            values[name], sources[name] = value, f"--{name}"
            given.add(name)
    settings = _validate(values, sources)
    if settings.checkpoint_every_n and settings.checkpoint_every_secs:
        raise SettingsError(
            "checkpoint_every_n and checkpoint_every_secs are both given",
            where=f"{sources['checkpoint_every_n']}, {sources['checkpoint_every_secs']}",
            remedy=f"give one of {flag('checkpoint_every_n')} and {flag('checkpoint_every_secs')}",
        )
    return dataclasses.replace(settings, given=frozenset(given))


def as_environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with the variables that give another process exactly these settings, `.env` or not."""
    kept = {key: value for key, value in environ.items() if not key.startswith(PREFIX) or key in NOT_SETTINGS}
    texts = {variable(name): as_text(getattr(settings, name)) for name in FIELDS}
    given = ",".join(name for name in FIELDS if is_given(settings, name))
    return kept | {name: text for name, text in texts.items() if text} | {GIVEN: given}


def with_recorded(settings: Settings, recorded: Mapping[str, str], where: str) -> Settings:
    """`settings` with what was given before, as `recorded`, for every setting that is not given now.

    Names that are no settings any more are passed over. Raises SettingsError for a value that is not valid.
    """
    wanted = {name: text for name, text in recorded.items() if name in FIELDS and not is_given(settings, name)}
    if not wanted:
        return settings
    valid = _validate(wanted, dict.fromkeys(wanted, where))
    return dataclasses.replace(settings, **{name: getattr(valid, name) for name in wanted})


def refuse_other_bytes(settings: Settings, names: Iterable[str]) -> None:
    """Raises SettingsError for a path, of the settings `names`, that a pipeline.config can't hold."""
    for name in names:
        path = str(getattr(settings, name))
        if path != path.encode(errors="replace").decode():
            what = "is no UTF-8, which a pipeline.config needs"
            raise SettingsError(what, where=path, remedy=f"rename it: {flag(name)}")


def _unknown(name: str, known: Iterable[str], kind: str) -> SettingsError:
    """The error for a name that is no setting, with the nearest that is."""
    return SettingsError(f"{kind} {name} is unknown", remedy=did_you_mean(name, known) or "see detbox --help")


def _read_dotenv(path: Path | None) -> Mapping[str, str | None]:
    if path is None or not path.is_file():
        return {}
    from dotenv import dotenv_values, parser

    text = text_files.decode(path.read_bytes())
    for binding in parser.parse_stream(io.StringIO(text)):
        if binding.error and PREFIX in binding.original.string:
            where, remedy = f"{path}:{binding.original.line}", f"write {PREFIX}NAME=value, or leave the line out"
            raise SettingsError("a line with a setting can't be read", where=where, remedy=remedy)
    logging.getLogger("dotenv").setLevel(logging.ERROR)  # Of the other lines.
    return dotenv_values(stream=io.StringIO(text))


def _validate(values: Mapping[str, str], sources: Mapping[str, str]) -> Settings:
    # Imported here because pydantic takes longer to import than `--help` may take.
    from pydantic import TypeAdapter, ValidationError

    values = {name: OLD_TEXTS.get(name, {}).get(text.lower(), text) for name, text in values.items()}
    try:
        return TypeAdapter(Settings).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise SettingsError(
            f"{first['input']!r} is not valid: {first['msg']}",
            where=sources[name],
            remedy=f"{document(name)} (--{name} / {variable(name)})",
        ) from None
