"""A self-contained HTML page: one file without scripts or outside resources, light or dark as the reader's system is.

Text that is given as `str` is escaped wherever it goes; what is markup already is `markupsafe.Markup`. Charts:
`app.html.charts`.
"""

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

import markupsafe
from markupsafe import Markup

from app.terminal_text import escape_controls


class Figure(Markup):
    """A formatted number; a table aligns it like other numbers."""

    __slots__ = ()


@dataclass(frozen=True)
class Section:
    """A part of a page with its heading; `note` is one line below the heading."""

    title: str
    parts: Sequence[str]
    note: str = ""


_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""The page asks the browser to load and run nothing, whatever slipped into it."""


def escape(text: object) -> Markup:
    """`text` as markup that shows just that; `Markup` is left as it is."""
    if isinstance(text, Markup):
        return text
    return markupsafe.escape(escape_controls(str(text), keep="\t\n"))


def join(parts: Iterable[object]) -> Markup:
    """The parts one after another, each escaped unless it is `Markup`."""
    return Markup("").join(map(escape, parts))


def render_page(title: str, sections: Sequence[Section], *, subtitle: str = "", head: Sequence[str] = ()) -> str:
    """A whole document: title, `subtitle`, the parts of `head`, then the sections with links to them on top."""
    style = (resources.files("app.html") / "page.css").read_text(encoding="utf-8")
    links = [
        f'<a href="#part-{number}">{escape(section.title)}</a>' for number, section in enumerate(sections, start=1)
    ]
    body = [f"<h1>{escape(title)}</h1>"]
    if subtitle:
        body.append(f'<p class="sub">{escape(subtitle)}</p>')
    if len(links) > 1:
        body.append(f"<nav>{''.join(links)}</nav>")
    body.append(join(head))
    for number, section in enumerate(sections, start=1):
        note = f'<p class="sub">{escape(section.note)}</p>' if section.note else ""
        heading = f"<h2>{escape(section.title)}</h2>{note}"
        body.append(f'<section id="part-{number}">{heading}{join(section.parts)}</section>')
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body><main>\n"
        + "\n".join(body)
        + "\n</main></body></html>\n"
    )


def paragraph(text: object) -> Markup:
    """One paragraph."""
    return Markup(f"<p>{escape(text)}</p>")


def facts(pairs: Sequence[tuple[str, object]]) -> Markup:
    """Key figures in a row of tiles: (what, figure)."""
    tiles = [f"<div><dt>{escape(what)}</dt><dd>{escape(figure)}</dd></div>" for what, figure in pairs]
    return Markup(f'<dl class="facts">{"".join(tiles)}</dl>')


def notices(lines: Sequence[object], *, kind: str = "warning") -> Markup:
    """Highlighted lines; `kind` is `warning` or `good`. Empty without lines."""
    if not lines:
        return Markup("")
    return Markup(f'<ul class="notices {escape(kind)}">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>')


def table(
    heads: Sequence[object], rows: Iterable[Sequence[object]], *, total: Sequence[object] | None = None
) -> Markup:
    """A table; numbers are aligned right, thousands set apart. A wide one scrolls sideways."""
    rows = list(rows)
    numeric = [
        any(_is_number(row[i]) for row in rows) and all(_is_number(row[i]) or row[i] in ("", None) for row in rows)
        for i in range(len(heads))
    ]
    top = "".join(f"<th{_right(right)}>{escape(head)}</th>" for head, right in zip(heads, numeric, strict=True))
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    foot = f"<tfoot><tr>{_cells(total)}</tr></tfoot>" if total is not None else ""
    return Markup(f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody>{foot}</table></div>')


def heat_table(
    corner: object,
    heads: Sequence[object],
    rows: Sequence[tuple[object, Sequence[int]]],
    *,
    shades: Sequence[Sequence[float]],
    is_right: Callable[[int, int], bool],
) -> Markup:
    """A table of counts, each with the name of its row before it and a ground as strong as its shade (0 to 1).

    `corner` names the rows and the columns; `is_right(row, column)` says which cells are good to be full.
    """
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = []
    for i, (name, counts) in enumerate(rows):
        cells = [
            f'<td class="n {("right" if is_right(i, j) else "wrong") if count else "none"}" '
            f'style="--share:{min(max(shades[i][j], 0), 1):.2f}" '
            f'title="{escape(name)} / {escape(heads[j])}">{number(count)}</td>'
            for j, count in enumerate(counts)
        ]
        body.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    return Markup(
        f'<div class="wide"><table class="heat"><thead><tr><th>{escape(corner)}</th>{top}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Figure) and not isinstance(value, bool)


def _right(right: bool) -> str:
    return ' class="n"' if right else ""


def _cells(row: Sequence[object]) -> str:
    return "".join(f"<td{_right(_is_number(value))}>{number(value)}</td>" for value in row)


def number(value: object) -> Markup:
    """An int with thousands set apart, a float with up to four digits that count; all else as text."""
    if value is None:
        return Markup("")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return escape(value)
    return Markup(f"{value:,}".replace(",", "&#8239;") if isinstance(value, int) else f"{value:.4g}")


def fixed(value: float | None, digits: int = 3) -> Figure | None:
    """A number with so many digits behind the point, so that a column of them can be compared at a glance."""
    return None if value is None else Figure(f"{value:.{digits}f}")


def meter(share: float, text: object = "") -> Markup:
    """A bar as long as `share` (0 to 1) of its cell, with `text` beside it."""
    width = min(max(share, 0.0), 1.0) * 100
    return Markup(f'<span class="meter"><i style="width:{width:.1f}%"></i></span> {escape(text)}')


def details(summary: object, parts: Iterable[object], *, opened: bool = False) -> Markup:
    """Parts that are folded away until the reader asks for them."""
    state = " open" if opened else ""
    return Markup(f"<details{state}><summary>{escape(summary)}</summary>{join(parts)}</details>")


def listing(items: Iterable[object]) -> Markup:
    """A plain list, one line an item."""
    return Markup(f'<ul class="plain">{"".join(f"<li>{escape(item)}</li>" for item in items)}</ul>')


def code(text: object) -> Markup:
    """Text of a file or a command, line breaks kept."""
    return Markup(f"<pre>{escape(text)}</pre>")


def diff(text: str, *, lines_max: int = 3000) -> Markup:
    """A unified diff, its lines coloured."""
    rows, kinds = text.splitlines(), {"+": "add", "-": "del", "@": "at"}
    shown = [
        f'<span class="{kinds[row[0]]}">{escape(row)}</span>' if row[:1] in kinds else escape(row)
        for row in rows[:lines_max]
    ]
    if len(rows) > lines_max:
        shown.append(f"... {len(rows) - lines_max} more lines")
    return Markup(f'<pre class="diff">{chr(10).join(shown)}</pre>')


def columns(parts: Iterable[object], *, narrow: bool = False) -> Markup:
    """Parts side by side where there is room, else one below the other; `narrow`: as many as fit, small."""
    return Markup(f'<div class="columns{" narrow" if narrow else ""}">{join(parts)}</div>')


def image(data: bytes, caption: object = "", *, kind: str = "jpeg") -> Markup:
    """An image, its bytes within the page; `kind` is `jpeg`, `png` or `webp`."""
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    words = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return Markup(f'<figure><img src="{source}" alt="{escape(caption)}">{words}</figure>')
