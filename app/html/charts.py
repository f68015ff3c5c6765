"""Small charts as inline SVG for `app.html.page`: readable on a phone, without scripts.

Colours are the page's variables, so a chart follows the reader's light or dark. Hovering names a value.
"""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from app.html.page import escape

WIDTH, HEIGHT = 360, 200
"""Of the drawing, in its own units: about the pixels of a phone, so that its letters keep their size there."""
COLOURS = 7
POINTS_MAX = 480
"""Points drawn of one line; the eye sees no more on so many pixels."""
DOTS_MAX = 40
"""A line of up to so many points has a dot with a tooltip at each."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 16, 10, 38

Point = tuple[float, float]


def bars(
    title: str,
    labels: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    x: str = "",
    y: str = "",
    note: str = "",
) -> Markup:
    """A bar chart, one bar a label; the values of several `series` are stacked. `x`, `y` name the axes."""
    sums = [sum(values) for values in zip(*series.values(), strict=True)] if series else []
    ticks = nice_ticks(0, max([*sums, 1e-9]))
    top = ticks[-1]
    step = (WIDTH - _LEFT - _RIGHT) / max(len(labels), 1)
    body = [_grid(ticks, 0, top)]
    for index, label in enumerate(labels):
        base = 0.0
        for number, (name, values) in enumerate(series.items()):
            if values[index] <= 0:
                continue
            y0, y1 = _y(base, 0, top), _y(base + values[index], 0, top)
            base += values[index]
            words = f"{label}: {_figure(values[index])}{f' {name}' if len(series) > 1 else ''}"
            body.append(
                f'<rect class="{_colour(number)} fill" x="{_LEFT + index * step + step * 0.08:.1f}" y="{y1:.1f}" '
                f'width="{step * 0.84:.1f}" height="{max(y0 - y1, 1):.1f}" rx="1.5">'
                f"<title>{escape(words)}</title></rect>"
            )
    widest = max((len(label) for label in labels), default=1) * 6.5
    every = max(1, math.ceil(widest / step))
    for index in range(0, len(labels), every):
        body.append(_text(_LEFT + (index + 0.5) * step, HEIGHT - 24, labels[index], "middle"))
    return _chart(title, body, list(series), x=x, y=y, note=note)


def lines(
    title: str,
    series: Mapping[str, Sequence[Point]],
    *,
    x: str = "",
    y: str = "",
    y_range: tuple[float, float] | None = None,
    marks: Sequence[tuple[float, str]] = (),
    spots: Mapping[str, Point] | None = None,
    behind: Mapping[str, Sequence[Point]] | None = None,
    note: str = "",
) -> Markup:
    """Lines through points (x, y), in order of x. A y that is not finite breaks its line.

    `y_range` None: from the values. `marks`: x and label of dashed vertical lines. `spots`: a ring on the line of that
    name. `behind`: a paler line behind the one of that name, such as the raw values.
    """
    spots, behind = spots or {}, behind or {}
    drawn = [*series.values(), *behind.values()]
    finite = [(a, b) for points in drawn for a, b in points if math.isfinite(a) and math.isfinite(b)]
    if not finite:
        return _chart(title, [_text(WIDTH / 2, HEIGHT / 2, "nothing yet", "middle")], [], x=x, y=y, note=note)
    low, high = min(a for a, _ in finite), max(a for a, _ in finite)
    ticks = nice_ticks(*(y_range or (min(b for _, b in finite), max(b for _, b in finite))))
    body = [_grid(ticks, ticks[0], ticks[-1])]
    body += [
        _text(_x(tick, low, high), HEIGHT - 24, _figure(tick), "middle")
        for tick in nice_ticks(low, high, 4)
        if low <= tick <= high
    ]
    for place, words in marks:
        if low <= place <= high:
            at = _x(place, low, high)
            body.append(f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
            side = "end" if at > WIDTH / 2 else "start"
            body.append(_text(at + (-4 if side == "end" else 4), _TOP + 9, words, side))
    scale = (low, high), (ticks[0], ticks[-1])
    for number, name in enumerate(series):
        if name in behind:
            body.append(f'<g class="pale">{_line(name, _thinned(behind[name]), number, *scale, dots=False)}</g>')
    for number, (name, points) in enumerate(series.items()):
        body.append(_line(name, _thinned(points), number, *scale))
        if name in spots:
            body.append(_spot(name, spots[name], number, *scale))
    return _chart(title, body, list(series), x=x, y=y, note=note)


def nice_ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """About `wanted` round values from at most `low` to at least `high`."""
    if not high > low:
        reach = max(0.5, abs(low) * 1e-3)
        low, high = (low - reach, low + reach) if low else (0.0, 1.0)
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * index for index in range(first, last + 1)]


def _line(name: str, points: Sequence[Point], number: int, xs: Point, ys: Point, *, dots: bool = True) -> str:
    path, pen_down, circles = [], False, []
    for a, b in points:
        if not (math.isfinite(a) and math.isfinite(b)):
            pen_down = False
            continue
        px, py = _x(a, *xs), _y(min(max(b, ys[0]), ys[1]), *ys)
        path.append(f"{'L' if pen_down else 'M'}{px:.1f} {py:.1f}")
        pen_down = True
        if dots and len(points) <= DOTS_MAX:
            words = f"{name}: {_figure(b)} at {_figure(a)}"
            circles.append(
                f'<circle class="fill" cx="{px:.1f}" cy="{py:.1f}" r="2.5"><title>{escape(words)}</title></circle>'
            )
    drawn = f'<path class="stroke" d="{" ".join(path)}"><title>{escape(name)}</title></path>' if path else ""
    return f'<g class="{_colour(number)}">{drawn}{"".join(circles)}</g>'


def _spot(name: str, point: Point, number: int, xs: Point, ys: Point) -> str:
    words = f"{name}: {_figure(point[1])} at {_figure(point[0])}"
    place = f'cx="{_x(point[0], *xs):.1f}" cy="{_y(point[1], *ys):.1f}"'
    return (
        f'<g class="{_colour(number)}"><circle class="spot" {place} r="4.5"><title>{escape(words)}</title></circle></g>'
    )


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    """The ends, and of each stretch between them the lowest and the highest point, so that a spike stays.

    A stretch with a y that is not finite gives that as well: the line breaks there.
    """
    if len(points) <= POINTS_MAX:
        return points
    inner, stretches = points[1:-1], POINTS_MAX // 2 - 1
    found = [points[0]]
    for number in range(stretches):
        part = inner[number * len(inner) // stretches : (number + 1) * len(inner) // stretches]
        finite = [at for at, (_, b) in enumerate(part) if math.isfinite(b)]
        chosen = {min(finite, key=lambda at: part[at][1]), max(finite, key=lambda at: part[at][1])} if finite else set()
        broken = next((at for at, (_, b) in enumerate(part) if not math.isfinite(b)), None)
        found += [part[at] for at in sorted(chosen | ({broken} if broken is not None else set()))]
    return [*found, points[-1]]


def _grid(ticks: Sequence[float], low: float, high: float) -> str:
    rows = []
    for tick in ticks:
        at = _y(tick, low, high)
        rows.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        rows.append(_text(_LEFT - 5, at + 4, _figure(tick), "end"))
    return "".join(rows)


def _chart(title: str, body: Sequence[str], names: Sequence[str], *, x: str, y: str, note: str) -> Markup:
    legend = "".join(
        f'<span><i class="{_colour(number)}"></i>{escape(name)}</span>' for number, name in enumerate(names)
    )
    keys = f'<div class="legend">{legend}</div>' if len(names) > 1 else ""
    axis = _text((WIDTH + _LEFT) / 2, HEIGHT - 7, x, "middle") if x else ""
    heading = f"{title} ({y})" if y else title
    words = f"<figcaption>{escape(note)}</figcaption>" if note else ""
    return Markup(
        f'<figure class="chart"><p class="title">{escape(heading)}</p>{keys}'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(heading)}">{"".join(body)}{axis}</svg>'
        f"{words}</figure>"
    )


def _x(value: float, low: float, high: float) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * ((value - low) / (high - low) if high > low else 0.5)


def _y(value: float, low: float, high: float) -> float:
    return HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * ((value - low) / (high - low) if high > low else 0.5)


def _colour(number: int) -> str:
    return f"s{number % COLOURS + 1}"


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _figure(value: float) -> str:
    """Short enough for an axis: 12k, 0.25, 1e-06."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:.4g}M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:.4g}k"
    return f"{value:.4g}"
