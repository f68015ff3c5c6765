"""Refusal of a command line that names something that does not exist, before anything of it is done.

Fire would run the command first, follow a stray word into the result's attributes, then print a page.
"""

import re
from collections.abc import Sequence

from app.errors import UsageError, did_you_mean
from app.settings import FIELDS, variable
from entrypoint.commands import COMMANDS, Command

SPELLINGS = {"--from": "from_run"}
"""Flags that are no name of a setting: `from` is a word of Python."""
_NUMBER = re.compile(r"-\.?\d")


def find(arguments: Sequence[str]) -> tuple[Command, list[str]]:
    """The command that the line names, in one word or two, and what follows. Raises UsageError."""
    name, rest = arguments[0], list(arguments[1:])
    group = [known.split()[1] for known in COMMANDS if known.split()[0] == name and " " in known]
    if group:
        if not rest or rest[0] not in group:
            raise UsageError(f"{name} needs one of {', '.join(group)}", remedy=f"detbox {name} {group[0]}")
        name = f"{name} {rest.pop(0)}"
    if name not in COMMANDS:
        raise UsageError(f"command {name} is unknown", remedy=did_you_mean(name, COMMANDS) or "see detbox --help")
    return COMMANDS[name], rest


def check(arguments: Sequence[str]) -> list[str]:
    """The line with arguments that have no flag put behind the flag that the command takes them for, in Fire's syntax.

    Raises UsageError with the nearest known name unless every word is known.
    """
    command, rest = find(arguments)
    name, alone, kept = command.name, [], command.name.split()
    while rest:
        word = rest.pop(0)
        word = _spell_out(command, word)
        if command.short and word == f"-{command.short[0]}":
            word = f"--{command.short}"
        if not _is_flag(word):
            if not command.positional:
                raise UsageError(
                    f"{word!r} is not a flag", where=name, remedy=f"flags look like --name=value: {_help(command)}"
                )
            alone.append(word)
            continue
        kept.append(word)
        key, equals, _ = word.lstrip("-").partition("=")
        key = key.replace("-", "_")
        _check_flag(command, key, word)
        if equals or _is_switch(key):
            continue
        if not rest or _is_flag(rest[0]):
            raise UsageError(f"flag --{key} has no value", where=name, remedy=f"write --{key}=VALUE")
        kept.append(rest.pop(0))
    return kept + ([f"--{command.positional}={command.joint.join(alone)}"] if alone else [])


def _spell_out(command: Command, word: str) -> str:
    name, equals, value = word.partition("=")
    long = SPELLINGS.get(name)
    return f"--{long}{equals}{value}" if long in command.settings else word


def _check_flag(command: Command, key: str, word: str) -> None:
    if key in command.settings and word.startswith("--"):
        return
    if key.startswith("no") and _is_switch(key[2:]) and key[2:] in command.settings and "=" not in word:
        return
    shown = word.partition("=")[0]
    if key in FIELDS and word.startswith("--"):
        raise UsageError(
            f"flag {shown} is not used by {command.name}",
            remedy=f"leave it out, or set {variable(key)}, which other commands read; {_help(command)}",
        )
    near = did_you_mean(key, command.settings, "--")
    raise UsageError(
        f"flag {shown} is unknown", where=command.name, remedy="; ".join(filter(None, (near, _help(command))))
    )


def _is_flag(word: str) -> bool:
    return word.startswith("-") and not _NUMBER.match(word)


def _is_switch(key: str) -> bool:
    positive = key.removeprefix("no")
    return any(name in FIELDS and FIELDS[name].type is bool for name in (key, positive))


def _help(command: Command) -> str:
    return f"see detbox {command.name} --help"
