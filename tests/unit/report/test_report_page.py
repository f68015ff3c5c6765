"""The report's pages: what they show is the run's, and nothing that a name holds becomes part of the page."""

import re

import example_run
import pytest
from example_run import MAP
from page_reader import PageReader

from app.pipeline import batch_size_record
from app.pipeline.batch_search import Try
from app.pipeline.batch_size_record import BatchSize
from app.report import comparison, run_report
from app.report.page import render_run
from app.run.directory import Run
from app.run.files import read_json, read_lines, write_json, write_text
from app.run.heartbeat import write_heartbeat
from app.run.rollbacks import append_rollback

HOSTILE = "</td></table><script>alert(1)</script>\"'&<img src=x onerror=y>"


def show(run: Run, **given) -> PageReader:
    """The page of a run with the card of its records."""
    return PageReader(render_run(run_report.read_report(run, dataset=read_json(run.dataset_card), **given)))


@pytest.fixture
def run(tmp_path):
    return example_run.write(tmp_path / "r", learning_rate=0.25)


def test_the_figures_on_the_page_are_the_runs(run):
    """Tiles, classes, matrix, data set, settings and versions, each read back from the page."""
    page, best = show(run), read_json(run.best_card)
    assert page.fields["Best mAP"] == f"{best['value']:.3f} at step {best['step']}"
    assert page.fields["AR@100"] == f"{best['metrics']['DetectionBoxes_Recall/AR@100']:.3f}"
    assert page.fields["Training time"] == "1 min 40 s"
    for figures in best["details"]["classes"]:
        shares = ("ap", "ap50", "ar", "f1", "f1_threshold", "precision", "recall")
        counts = ("false_negatives", "misclassified", "false_positives", "groundtruth")
        wanted = [*(f"{figures[name]:.3f}" for name in shares), *(str(figures[name]) for name in counts)]
        assert page.row(figures["name"])[1:] == wanted
    confusion = best["details"]["confusion"]
    for name, counts in zip([*confusion["labels"][:-1], "false positives"], confusion["matrix"], strict=True):
        assert [name, *map(str, counts)] in page.rows
    card = read_json(run.dataset_card)
    for split, words in (("train", "Training set"), ("eval", "Evaluation set")):
        counts = card["splits"][split]
        assert page.fields[words] == f"{counts['images']:,} images, {counts['boxes']:,} boxes"
    assert page.row("learning_rate") == ["learning_rate", "0.25", "empty"]
    assert page.row("python")[1] == read_json(run.provenance)["versions"]["python"]
    assert page.row("patches of the OD API")[1] == "2"


def test_curves_go_through_the_runs_points(run):
    """A dot at every evaluation says its value; the best is marked."""
    page = render_run(run_report.read_report(run))
    for row in read_lines(run.evaluations):
        assert f"<title>mAP: {row['metrics'][MAP]:.4g} at {row['step']}</title>" in page
    assert f">best: step {read_json(run.best_card)['step']}</text>" in page


def test_the_diff_of_the_config_is_there(run):
    """What the run changed, line by line."""
    assert '<span class="add">+  batch_size: 1</span>' in render_run(run_report.read_report(run))


def test_no_name_becomes_markup(tmp_path):
    """Classes, settings, images, config and versions that hold markup add no element and no attribute."""
    pages = []
    for at, name in enumerate(("t" * len(HOSTILE), HOSTILE)):
        run = example_run.write(tmp_path / str(at) / "r", classes=[name, "b"], augmentations=name)
        write_text(run.pipeline_diff, f"+{name}\n-{name}\n {name}")
        write_text(run.pipeline_config, name)
        index = read_json(run.detections_index)
        write_json(run.detections_index, [{**entry, "image": name} for entry in index])
        example_run.rewrite(run.provenance, versions={name: name}, revision=name)
        write_json(run.exports / "f" / "card.json", {"step": 1, "words": name})
        pages.append([show(run), PageReader(comparison.render_comparison([run_report.read_report(run)] * 2))])
    for tame, hostile in zip(*pages, strict=True):
        assert hostile.tags == tame.tags
        assert [name for name, _ in hostile.attributes] == [name for name, _ in tame.attributes]
        assert "alert(1)" in hostile.spoken


def test_the_page_stands_alone(run):
    """Ids are unique, links lead into the page, images are in it, and nothing is loaded."""
    text, page = render_run(run_report.read_report(run)), show(run)
    ids = page.values("id")
    assert len(ids) == len(set(ids)) > 5
    assert {link[1:] for link in page.values("href")} == set(ids)
    assert len(page.values("src")) == 4
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.values("src"))
    assert not re.search(r"https?://|<script|<link|@import|url\(", text)


def test_many_large_images_make_no_heavy_page(tmp_path):
    """What does not fit is counted, and where it is."""
    run = example_run.write(tmp_path / "r", images=14, size=(800, 640))
    text = render_run(run_report.read_report(run))
    assert len(text) < 3_000_000
    shown = text.count("<img ")
    assert 4 <= shown < 14
    assert f"{14 - shown} more are in detections/" in text


def test_an_image_that_cannot_be_read_is_left_out(run):
    """The others are shown."""
    (run.detections / "00.jpg").write_bytes(b"no image")
    assert len(show(run).values("src")) == 3


def test_a_hundred_classes_are_readable(tmp_path):
    """The weakest first, the matrix of those with the most errors, the rest folded away or left out, and said."""
    classes = [f"class {number:03d}" for number in range(100)]
    run = example_run.write(tmp_path / "r", classes=classes, steps=50)
    page = show(run)
    figures = read_json(run.best_card)["details"]["classes"]
    weakest = min(figures, key=lambda row: row["ap"])
    table = next(row for row in page.rows if row and row[0].startswith("class "))
    assert table[:2] == [weakest["name"], f"{weakest['ap']:.3f}"]
    assert "The 24 of 100 classes with the most errors." in page.spoken
    assert "The 24 classes with the lowest AP." in page.spoken


def test_the_account_of_the_trainers_time_is_shown(run):
    """By kind with its share; the rollbacks are notices."""
    append_rollback(run, step=3, before=0.1, rate=0.01, reason="the loss of step 4 is not finite", evaluations=0)
    page = show(run)
    assert ["lost", "1 min 0 s", "10.0%"] in page.rows
    assert ["training", "8 min 0 s", "80.0%"] in page.rows
    assert "After 1 failure: a checkpoint every" in page.spoken
    assert "Rollback to step 3, learning rate 0.01: the loss of step 4 is not finite." in page.spoken


def test_how_the_batch_size_was_found_is_shown(run):
    """Each try, and why it is no larger; nothing where it was given."""
    assert "Batch size" not in show(run).spoken
    tries = (Try(4, True, 2 * 10**9, 3.25), Try(8, False, why="take too much"))
    batch_size_record.write(run, BatchSize(4, "8 take too much", "2 GB of GPU memory", "a GPU with 2.2 GB", "k", tries))
    page = show(run)
    assert page.row("4")[1:] == ["2.0 GB", "3.25", "fits"] and page.row("8")[1:] == ["", "", "take too much"]
    assert "4 on a GPU with 2.2 GB, since 8 take too much" in page.spoken


def test_an_unfinished_run_says_so(run):
    """With the state that its trainer last told."""
    run.done.unlink()
    write_heartbeat(run, "trainer", state="training", step=150, of=200)
    page = show(run)
    assert page.fields["Step"] == "200 of 200"
    assert "Training: training." in page.spoken


def test_runs_are_compared(tmp_path):
    """A column a run: figures, classes, and only those settings that differ."""
    chosen = [
        example_run.write(tmp_path / name, seed=seed, learning_rate=rate, batch_size=8)
        for seed, (name, rate) in enumerate((("one", 0.1), ("two", 0.2)), start=1)
    ]
    text = comparison.render_comparison([run_report.read_report(run) for run in chosen])
    page, best = PageReader(text), [read_json(run.best_card) for run in chosen]
    assert page.row("Best mAP") == ["Best mAP", *(f"{card['value']:.3f}" for card in best)]
    assert page.row("of step") == ["of step", *(str(card["step"]) for card in best)]
    by_class = [{row["name"]: row["ap"] for row in card["details"]["classes"]} for card in best]
    for name in by_class[0]:
        assert page.row(name) == [name, *(f"{found[name]:.3f}" for found in by_class)]
    assert page.row("learning_rate") == ["learning_rate", "0.1", "0.2"]
    assert not [row for row in page.rows if row and row[0] == "batch_size"]
    assert '<span class="add">+  batch_size: 2</span>' in text
    # The folder of a run, which its config names, is no difference.
    assert str(tmp_path) not in text
    assert "different data" not in text


def test_runs_of_different_data_do_not_compare(tmp_path):
    """The page says so before all figures."""
    chosen = [example_run.write(tmp_path / name, fingerprint=name) for name in ("one", "two")]
    assert "different data" in comparison.render_comparison([run_report.read_report(run) for run in chosen])


def test_two_runs_of_one_name_stay_two(tmp_path):
    """From two model folders, say."""
    chosen = [example_run.write(tmp_path / folder / "r", seed=seed) for seed, folder in enumerate(("a", "b"))]
    page = PageReader(comparison.render_comparison([run_report.read_report(run) for run in chosen]))
    assert page.row("Step")[1:] == ["200", "200"]
    assert ["", "r", "r (2)"] in page.rows
