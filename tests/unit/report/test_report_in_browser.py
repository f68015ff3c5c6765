"""The report as a reader sees it, in a real browser: light and dark, on a desk and on a phone."""

import browser
import example_run
import pytest
from example_run import MAP

from app.report import comparison as comparison_report
from app.report import page as run_page
from app.report import run_report
from app.run.directory import comparison_page
from app.run.files import read_json, read_lines, write_text

CONTRAST = """
(() => {
  const context = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const parse = (colour) => {
    context.clearRect(0, 0, 1, 1); context.fillStyle = colour; context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].filter((node) => node.nodeType === 3);
    const words = own.map((node) => node.data.trim()).join("");
    if (!words || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const ink = parse(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(ink), light(ground(element))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), words.slice(0, 40)]);
  }
  return found.sort((x, y) => x[0] - y[0]);
})()
"""
"""The contrast of every text with its ground (WCAG 2.2), the lowest first."""
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
LETTERS = """
[...document.querySelectorAll("svg text")].map((text) => text.getBoundingClientRect().height)
  .reduce((least, height) => Math.min(least, height), 99)
"""
UNSEEN_IMAGES = "[...document.images].filter((image) => !image.naturalWidth || image.width < 100).length"
HOSTILE = ("<script>console.error(1)</script>", "W" * 70, "wheel")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    program = browser.find()
    if program is None:
        pytest.skip(f"needs a browser: none of {', '.join(browser.NAMES)} is on the PATH (apt-get install chromium)")
    with browser.tab(program, tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return example_run.write(tmp_path_factory.mktemp("runs") / "r", classes=HOSTILE, size=(640, 480))


@pytest.fixture(scope="module")
def page(run):
    write_text(run.report, run_page.render_run(run_report.read_report(run, dataset=read_json(run.dataset_card))))
    return run.report


@pytest.fixture(scope="module")
def comparison(run, tmp_path_factory):
    other = example_run.write(tmp_path_factory.mktemp("runs") / "other-run", seed=2, learning_rate=0.1)
    path = comparison_page(run.root.parent)
    write_text(path, comparison_report.render_comparison([run_report.read_report(run), run_report.read_report(other)]))
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["page", "comparison"])
def test_it_can_be_read(chromium, request, name, width, dark):
    """Every text stands off its ground, nothing runs off the side, charts' letters are large enough."""
    chromium.open(request.getfixturevalue(name), width=width, dark=dark)
    chromium.ask("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    low, words = chromium.ask(CONTRAST)[0]
    assert low >= 4.5, words
    ground = chromium.ask("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 380) == dark
    assert chromium.ask(SIDEWAYS) <= 0
    assert chromium.ask(LETTERS) >= 9
    assert chromium.ask(UNSEEN_IMAGES) == 0
    assert chromium.complaints == []


def test_the_reader_sees_the_figures_of_the_run(chromium, page, run):
    """As rendered text, without opening anything."""
    chromium.open(page, width=1280)
    text, best = chromium.ask("document.body.innerText"), read_json(run.best_card)
    assert f"{best['value']:.3f} at step {best['step']}" in text
    for figures in best["details"]["classes"]:
        assert figures["name"] in text
        assert f"{figures['ap']:.3f}" in text
        assert str(figures["groundtruth"]) in text
    assert chromium.ask("document.images.length") == 4
    assert chromium.ask("document.scripts.length") == 0


def test_curves_are_drawn_where_their_values_are(chromium, page, run):
    """The dots of mAP stand in the order of its values, the highest value highest on the screen."""
    chromium.open(page, width=1280)
    dots = """[...document.querySelectorAll("svg circle")]
      .map((dot) => [dot.textContent, dot.getBoundingClientRect().top]).filter(([words]) => words.startsWith("mAP:"))"""
    tops = [top for _, top in chromium.ask(dots)]
    values = [row["metrics"][MAP] for row in read_lines(run.evaluations)]
    assert len(tops) == len(values)
    ordered = sorted(range(len(values)), key=lambda at: -values[at])
    assert sorted(range(len(tops)), key=lambda at: tops[at]) == ordered
