"""The frame of detbox's HTML pages and their charts."""

import math
import re

import pytest
from page_reader import PageReader

from app.html import charts, page

HOSTILE = "</td><script>alert(1)</script>\"'&<img src=x onerror=y>\x00\u202egpj.exe\ud800"


def everything(text: str) -> str:
    """A page that shows `text` in every way that a page can."""
    parts = [
        page.paragraph(text),
        page.facts([(text, text)]),
        page.notices([text]),
        page.table([text, "n"], [[text, 1], [page.meter(0.5, text), 2.5]], total=[text, 3]),
        page.details(text, [page.listing([text]), page.code(text)]),
        page.columns([page.image(b"\xff\xd8", text)]),
        page.columns([page.diff(f"+{text}\n-{text}")], narrow=True),
        charts.bars(text, [text, "b"], {text: [1, 2], "other": [0, 3]}, x=text, y=text, note=text),
        charts.lines(text, {text: [(0, 1), (5, 2)]}, x=text, y=text, marks=[(2, text)], note=text),
        charts.lines(text, {text: [(0, 1)]}, spots={text: (0, 1)}, behind={text: [(0, 3)]}),
        page.heat_table(text, [text], [(text, [3])], shades=[[0.5]], is_right=lambda i, j: True),
        text,
    ]
    return page.render_page(
        text, [page.Section(text, parts, note=text), page.Section("two", [])], subtitle=text, head=[text]
    )


def test_no_text_becomes_markup():
    """A hostile name adds no element and no attribute to those of a tame one, and is UTF-8 on disk."""
    tame, hostile = PageReader(everything("t" * len(HOSTILE))), PageReader(everything(HOSTILE))
    assert hostile.tags == tame.tags
    assert [name for name, _ in hostile.attributes] == [name for name, _ in tame.attributes]
    assert "alert(1)" in hostile.spoken
    assert not set("\x00\u202e\ud800") & set(everything(HOSTILE))
    everything(HOSTILE).encode("utf-8")


def test_a_page_needs_nothing_from_outside():
    """No address, script or style sheet but what is in the page; its policy forbids the rest."""
    text = everything("tame")
    assert not re.search(r"https?://|<script|<link|@import|url\(", text)
    assert "default-src 'none'" in text
    assert all(value.startswith("data:") for name, value in PageReader(text).attributes if name == "src")


def test_numbers_stand_right_and_bare():
    """A number's cell is aligned right; thousands are set apart; None is an empty cell."""
    text = page.table(["name", "count"], [["a", 12345], ["b", None]])
    assert '<td class="n">12&#8239;345</td>' in text
    assert "<td></td>" in text
    assert '<th class="n">count</th>' in text


def test_a_figure_stands_where_numbers_do():
    """It keeps its digits, and an empty cell below it does not turn the column."""
    text = page.table(["AP"], [[page.fixed(0.5)], [page.fixed(None)]])
    assert '<td class="n">0.500</td>' in text
    assert '<th class="n">AP</th>' in text


def test_a_diff_of_any_length_stays_short():
    """Its lines are told by their first letter; what is left out is counted."""
    text = page.diff("+a\n-b\n\n c\n" * 10, lines_max=6)
    assert text.count('class="add"') == 2
    assert text.count('class="del"') == 2
    assert "34 more lines" in text


def test_a_line_breaks_where_a_value_is_not_finite():
    """NaN lifts the pen: two strokes, and no `nan` in the drawing."""
    text = charts.lines("loss", {"loss": [(0, 1.0), (1, math.nan), (2, 2.0), (3, 1.0)]})
    assert text.count("M") == 2
    assert "nan" not in text.lower()


def test_a_long_line_is_thinned_and_keeps_its_ends():
    """A million points would make a page of many megabytes."""
    text = charts.lines("loss", {"loss": [(step, step % 7) for step in range(20_001)]})
    assert len(text) < 12_000
    assert f"{charts.WIDTH - charts._RIGHT:.1f} " in text


def test_a_thinned_line_keeps_its_spikes_and_breaks():
    """One high value of 20,000 is what the reader looks for; so is the place where there was none."""
    points = [(step, 99.0 if step == 7_777 else float(step % 7)) for step in range(20_000)]
    points[12_345] = (12_345, math.nan)
    text = charts.lines("loss", {"loss": points}, y_range=(0, 100))
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", text)]
    assert min(heights) == pytest.approx(charts._y(99, 0, 100), abs=0.06)
    assert len(re.findall(r"M[\d.]", text)) == 2


def test_raw_values_stand_behind_and_widen_the_axis():
    """The paler line is drawn first, has no dots, and does not leave the drawing."""
    text = charts.lines("loss", {"loss": [(0, 1.0), (1, 2.0)]}, behind={"loss": [(0, 0.0), (1, 9.0)]})
    assert text.index('class="pale"') < text.index("<circle")
    assert text.count("<circle") == 2
    assert ">10</text>" in text


@pytest.mark.parametrize("points", [[], [(3, math.nan)], [(3, 2.0)], [(0, 5.0), (1, 5.0)], [(0, 0.0), (1, 0.0)]])
def test_a_chart_of_little_is_a_chart(points):
    """Nothing, one point, or the same value all along is no reason to fail."""
    PageReader(charts.lines("loss", {"loss": points}, marks=[(3, "best")]))


def test_columns_stand_on_one_another():
    """The second series begins where the first ends, and the axis holds the sum."""
    text = charts.bars("sizes", ["a"], {"one": [3], "two": [4]})
    low, high = re.findall(r'y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', text)
    assert float(high[0]) + float(high[1]) == pytest.approx(float(low[0]), abs=0.11)


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0, 7), (-3, 12_345), (0.001, 0.0023), (5, 5), (1e300, 1e300), (0, 0), (1e-12, 1e9)]
)
def test_ticks_hold_the_range(low, high):
    """They are few, rise evenly, and reach from below the least to above the greatest value."""
    ticks = charts.nice_ticks(low, high)
    assert ticks[0] <= low and ticks[-1] >= high
    assert 2 <= len(ticks) <= 8
