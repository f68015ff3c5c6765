"""The text of `detbox --help` and `detbox COMMAND --help`, from the tables of commands and settings."""

import shutil
import textwrap

from app.settings import FIELDS, PREFIX, Settings, document
from entrypoint.commands import COMMANDS, Command

EXIT_CODES = (
    "0 done, 1 network, converter or a fault of detbox, 2 usage, 3 settings or pipeline.config, 4 data set, "
    "5 OD API not the patched one, 6 diverged, 7 out of memory, 8 gate not passed, 10 another worker lost, "
    "129/130/143 stopped by SIGHUP/SIGINT/SIGTERM"
)
GROUP_TITLES = {
    "places": "Where things are",
    "data": "Data",
    "model": "Model",
    "training": "Training",
    "cluster": "Several machines",
    "evaluation": "Evaluation",
    "export": "Export and promotion",
    "detection": "Detection on images",
    "zoo": "Model zoo",
    "events": "Event logs",
    "services": "Services and output",
}


def overview() -> str:
    """What `detbox --help` shows: the commands."""
    rows = [(command.name, command.summary) for command in COMMANDS.values()]
    return "\n".join(
        [
            "detbox: a training appliance for the TensorFlow 2 Object Detection API",
            "",
            "usage: detbox COMMAND --flag=value ...",
            "       detbox COMMAND --help",
            "",
            _columns(rows),
            "",
            _paragraph(
                f"A flag --batch_size=8 is also the variable {PREFIX}BATCH_SIZE=8, in the environment or "
                "in .env. A flag wins over the environment, that over .env, that over the default."
            ),
            "",
            _paragraph(f"Exit codes: {EXIT_CODES}."),
        ]
    )


def of_command(command: Command) -> str:
    """What `detbox COMMAND --help` shows: its flags by group, each with its meaning and default."""
    positional = f" {command.positional.upper()} ..." if command.positional else ""
    lines = [f"usage: detbox {command.name}{positional} --flag=value ...", "", _paragraph(f"{command.summary}.")]
    if command.more:
        lines += [_paragraph(command.more)]
    for group, title in GROUP_TITLES.items():
        names = [name for name in command.settings if FIELDS[name].metadata["group"] == group]
        if names:
            lines += ["", f"{title}:", _columns([(_flag(name), document(name)) for name in names])]
    return "\n".join(lines)


def default(name: str) -> str:
    """The default of a setting as one would write it; empty where the default is not to be given."""
    value = getattr(Settings, name, None)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _flag(name: str) -> str:
    if FIELDS[name].type is bool:
        return f"--no{name}" if getattr(Settings, name) else f"--{name}"
    return f"--{name}={default(name)}"


def _paragraph(text: str, width: int | None = None) -> str:
    return textwrap.fill(text, width or _width(), break_long_words=False, break_on_hyphens=False)


def _columns(rows: list[tuple[str, str]]) -> str:
    """Two columns; a left cell too wide for its column gets a line of its own."""
    left = min(max(len(name) for name, _ in rows), 36)
    indent = " " * (left + 4)
    lines = []
    for name, text in rows:
        body = textwrap.wrap(text, max(_width() - len(indent), 30), break_on_hyphens=False)
        head = f"  {name:<{left}}  "
        if len(name) > left:
            lines.append(head.rstrip())
            head = indent
        lines += [head + body[0], *(indent + line for line in body[1:])]
    return "\n".join(lines)


def _width() -> int:
    return min(shutil.get_terminal_size((100, 24)).columns, 110)
