"""What the report collects from a run's files."""

import json
import random

import example_run
import pytest
from example_run import MAP

from app.report import comparison, cost, page, run_report
from app.run.directory import Run, serving_dir
from app.run.files import append_line, read_json, read_lines, write_json
from app.run.lenient_json import mapping

SPOILT = 15


@pytest.fixture
def run(tmp_path):
    return example_run.write(tmp_path / "r")


def test_the_figures_are_those_of_the_files(run):
    """Curves, best, details and settings, each equal to what a service wrote."""
    found = run_report.read_report(run)
    rows, evaluations = read_lines(run.metrics), read_lines(run.evaluations)
    assert found.losses["total"] == tuple((row["step"], row["loss"]) for row in rows)
    assert found.learning_rate == tuple((row["step"], row["learning_rate"]) for row in rows)
    assert found.scores[MAP] == tuple((row["step"], row["metrics"][MAP]) for row in evaluations)
    best = read_json(run.best_card)
    assert (found.best.step, found.best.value) == (best["step"], best["value"])
    assert [row.ap for row in found.details.classes] == [row["ap"] for row in best["details"]["classes"]]
    assert found.details.step == best["step"]
    assert [list(row) for row in found.details.confusion.matrix] == best["details"]["confusion"]["matrix"]
    assert found.state == "completed"


def test_what_coco_could_not_measure_is_left_out(run):
    """Its -1 is no figure: the metric has no point."""
    assert run_report.read_report(run).scores["DetectionBoxes_Precision/mAP (small)"] == ()


def test_settings_are_told_where_they_differ(tmp_path):
    """Those that train otherwise than the default; where a run lies, or which port shows it, is none of them."""
    run = example_run.write(tmp_path / "r", learning_rate=0.3, tensorboard_port=7007)
    assert run_report.read_report(run).settings == {"learning_rate": (0.3, None)}


def test_another_metric_chooses_another_best(run):
    """By the rows, in the direction asked for; `best/` still holds the one that it was told to."""
    rows = read_lines(run.evaluations)
    loss = "Loss/total_loss"
    lowest = min(rows, key=lambda row: row["metrics"][loss])
    highest = max(rows, key=lambda row: row["metrics"][loss])
    assert run_report.read_report(run, metric=loss).best.step == lowest["step"]
    assert run_report.read_report(run, metric=loss, lower=False).best.step == highest["step"]
    assert run_report.read_report(run, metric="no such").best is None


def test_the_direction_that_chose_is_remembered(run):
    """`best.json` has it, for a metric whose name does not say it."""
    example_run.rewrite(run.best_card, metric="odd", direction="lower", value=0.5)
    assert run_report.read_report(run).metric == "odd"
    assert run_report.read_report(run).best.value == 0.5


def test_steps_that_a_restart_went_back_over_are_drawn_once(run):
    """The newest row of a step counts, and rows after it that were not reached again do not."""
    lot = random.Random(5)
    again = [example_run.row(lot, step, 200) for step in (160, 170)]
    for row in again:
        append_line(run.metrics, row)
    found = run_report.read_report(run)
    steps = [step for step, _ in found.losses["total"]]
    assert steps == [*range(10, 180, 10)]
    assert found.losses["total"][-2:] == tuple((row["step"], row["loss"]) for row in again)


def test_a_run_that_has_just_started(tmp_path):
    """Nothing is there, and nothing is made up."""
    (tmp_path / "r").mkdir()
    found = run_report.read_report(Run(tmp_path / "r"))
    assert (found.step, found.best, found.details, found.dataset, found.state) == (0, None, None, None, "not started")
    assert "No checkpoint was evaluated yet." in page.render_run(found)


def test_a_run_of_an_older_detbox(run):
    """Rows without details, cards without metric, images without index: what is there is told."""
    rows = read_lines(run.evaluations)
    for row in rows:
        run.evaluation_details(row["step"]).unlink()
    run.best_card.write_text(json.dumps({"step": rows[0]["step"], "checkpoint": "ckpt"}))
    run.detections_index.unlink()
    found = run_report.read_report(run)
    assert found.best.value == max(row["metrics"][MAP] for row in rows)
    assert found.details is None
    assert {image.kind for image in found.images} == {"first"}
    assert "no figures by class" in page.render_run(found)


def test_an_image_outside_the_folder_is_not_taken(run, tmp_path):
    """An index that names another file of the machine does not bring it into the page."""
    (tmp_path / "secret.jpg").write_bytes(next(run.detections.glob("*.jpg")).read_bytes())
    write_json(run.detections_index, [{"file": "../../secret.jpg", "kind": "worst"}])
    assert run_report.read_report(run).images == []


def test_exports_and_what_serves(run):
    """By their cards, an older one's too; a version of another run is not this one's."""
    write_json(run.exports / "onnx" / "card.json", {"step": 50, "bytes": 7, "summary": "scores within 1e-6"})
    write_json(run.exports / "tflite" / "card.json", {"step": 50, "difference": {"score": 1.25e-7}})
    serving = serving_dir(run.root.parent, "wheels")
    for version, name in ((2, run.name), (10, run.name), (11, "another")):
        write_json(serving / str(version) / "card.json", {"run": name, "step": version, "metric": MAP, "value": 0.5})
    found = run_report.read_report(run)
    assert [(item.name, item.step, item.bytes, item.words) for item in found.exports] == [
        ("onnx", 50, 7, "scores within 1e-6"),
        ("tflite", 50, None, "score 1.25e-07"),
    ]
    assert [(item.name, item.words) for item in found.serving] == [
        ("wheels, version 10", "mAP 0.5000, version 11 serves"),
        ("wheels, version 2", "mAP 0.5000, version 11 serves"),
    ]


def rows_at(*pairs: tuple[int, float]) -> list[dict]:
    """Rows of steps at seconds, two steps a second."""
    return [{"step": step, "time": seconds, "steps_per_sec": 2.0} for step, seconds in pairs]


@pytest.mark.parametrize(
    ("rows", "seconds", "pauses"),
    [
        ([], None, 0),
        (rows_at((10, 100)), 5, 0),
        (rows_at((10, 100), (20, 105), (30, 110)), 15, 0),
        # Stopped for an hour; ten steps are worth five seconds whenever they ran.
        (rows_at((10, 100), (20, 105), (30, 3700)), 15, 1),
        # Killed at 30, from 10 again: the steps cost twice.
        (rows_at((10, 100), (20, 105), (30, 110), (20, 200), (30, 205)), 25, 1),
        # A clock that was put back takes nothing away.
        (rows_at((10, 100), (20, 50), (30, 55)), 15, 0),
    ],
)
def test_hours_are_those_of_training(rows, seconds, pauses):
    """Without the time that the run lay still."""
    assert cost.training_seconds(rows) == (seconds, pauses)


def test_bytes_are_told_by_kind(run):
    """And add up to all that is in the folder."""
    (run.root / "ckpt-50.index").write_bytes(b"x" * 777)
    found = cost.bytes_by_kind(run)
    assert found["checkpoints"] == 777
    assert found["images"] == sum(path.stat().st_size for path in run.detections.iterdir())
    assert sum(found.values()) == sum(path.stat().st_size for path in run.root.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def tame(tmp_path_factory):
    """A run without images, whose files are read as text."""
    run = example_run.write(tmp_path_factory.mktemp("tame") / "r", images=1, steps=100)
    write_json(run.exports / "f" / "card.json", {"step": 50, "parity": {"score": 0.1}, "words": ""})
    write_json(serving_dir(run.root.parent, "r") / "1" / "card.json", {"run": "r", "step": 50, "value": 0.1})
    return run


RUBBISH = (None, True, -1, 0, 1e300, 10**400, float("nan"), float("inf"), "", "x", [], {}, [None], {"x": None}, [[1]])


def spoil(lot: random.Random, value):
    """`value` with some of its parts replaced by what does not belong there."""
    if lot.random() < 0.06:
        return lot.choice(RUBBISH)
    if isinstance(value, dict):
        return {key: spoil(lot, part) for key, part in value.items() if lot.random() > 0.03}
    return [spoil(lot, part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(SPOILT))
def test_whatever_the_files_hold_there_is_a_page(tame, tmp_path, seed):
    """JSON of another shape in every file of the run, as another version or a hand may leave it."""
    lot, run = random.Random(seed), Run(tmp_path / "r")
    for path in sorted(tame.root.parent.rglob("*.json*")):
        target = tmp_path / path.relative_to(tame.root.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text("utf-8").splitlines() if path.suffix == ".jsonl" else [path.read_text("utf-8")]
        target.write_text("\n".join(json.dumps(spoil(lot, json.loads(line))) for line in lines))
    found = run_report.read_report(run, dataset=mapping(read_json(run.dataset_card)))
    assert "</html>" in page.render_run(found)
    assert "</html>" in comparison.render_comparison([found, found])
