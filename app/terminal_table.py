"""A table as plain text, for a terminal and for what it is piped into."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 160


def as_text(table: "Table") -> str:
    """The lines of a table, without colours and without blanks at their ends."""
    from rich.console import Console

    page = io.StringIO()
    Console(file=page, width=WIDTH, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines()).strip("\n")
