"""MIGRATION.md: what was changed and why, for people."""

from collections.abc import Mapping, Sequence

from app.pipeline.migration.change import Change


def text(
    *, source: str, config: str, changes: Sequence[Change], run_changes: Sequence[Change], settings: Mapping[str, str],
    left: Sequence[str], diff: str,
) -> str:  # fmt: skip
    """The page, as Markdown."""
    parts = [
        f"# {source}, for TF2",
        "Written by `detbox migrate`. What is not listed here stayed as it was"
        + (", comments left out." if changes else "."),
        "## Train",
        f"```\n{command(config, settings)}\n```",
        "`prepare` and `up` read the data set that you name, fit the number of classes, the paths and the schedule, "
        "and check the rest. The same settings as variables are in `settings.env`.",
    ]
    if left:
        parts += ["## Left to you", "\n".join(f"- {item}" for item in left)]
    parts += ["## Changed in the pipeline.config", _table(changes) if changes else "Nothing: it was TF2's already."]
    if run_changes:
        parts += ["## Run settings", _table(run_changes)]
    if diff:
        parts += ["## As a diff", f"```diff\n{diff.rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"


def command(config: str, settings: Mapping[str, str]) -> str:
    """The command that trains with the migrated config and settings."""
    flags = {"model": config, "dataset": "YOUR_DATA_SET", **settings}
    flags.pop("once", None)
    return " \\\n    ".join(["detbox up", *(f"--{name}={value}" for name, value in flags.items())])


def _table(changes: Sequence[Change]) -> str:
    rows = ["| what | before | after | why |", "| --- | --- | --- | --- |"]
    rows += [f"| `{row.what}` | {_cell(row.before)} | {_cell(row.after)} | {row.why} |" for row in changes]
    return "\n".join(rows)


def _cell(value: str) -> str:
    short = value if len(value) <= 80 else f"{value[:77]}..."
    return "`{}`".format(short.replace("|", "\\|")) if value else "-"
