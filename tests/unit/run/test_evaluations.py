"""The lines of `evaluations.jsonl`, and the details beside it."""

import json
import math

from app.run.directory import Run
from app.run.evaluations import append_evaluation, evaluated_steps, read_best, read_details, read_evaluations
from app.run.files import append_line, write_json


def test_details_are_in_a_file_of_their_own(tmp_path):
    """The line stays small however many classes there are."""
    run = Run(tmp_path)
    details = {"classes": [{"name": f"class {number}", "curve": [0.5] * 101} for number in range(90)]}
    append_evaluation(run, {"step": 7, "metrics": {"a": 1.0}}, details)
    assert run.evaluations.read_text() == '{"step": 7, "metrics": {"a": 1.0}}\n'
    assert read_details(run, 7) == details
    assert read_details(run, 8) == {}


def test_a_line_has_its_details(tmp_path, monkeypatch):
    """They come first: an evaluator that is killed in between evaluates the step again."""
    run = Run(tmp_path)
    monkeypatch.setattr("app.run.evaluations.append_line", lambda path, value: None)
    append_evaluation(run, {"step": 7}, {"iou": 0.5})
    assert evaluated_steps(run) == set()
    assert read_details(run, 7) == {"iou": 0.5}


def test_old_lines_are_read_without_their_details(tmp_path):
    """Whatever the order of a line; one that was cut short anywhere does not count. The details can still be read."""
    run = Run(tmp_path)
    whole = {"step": 2, "metrics": {"a": 2.0}, "details": {"classes": [{"name": ', "time": 1}'}]}, "time": 7.5}
    for row in ({"step": 1, "metrics": {"a": 1.0}, "details": {}}, whole):
        append_line(run.evaluations, row)
    line = json.dumps({**whole, "step": 3})
    with open(run.evaluations, "a", encoding="utf-8") as file:
        file.writelines(line[:length] + "\n" for length in range(1, len(line)))
    assert read_evaluations(run) == [
        {"step": 1, "metrics": {"a": 1.0}},
        {"step": 2, "metrics": {"a": 2.0}, "time": 7.5},
    ]
    assert read_details(run, 2) == whole["details"]
    assert read_details(run, 1) == read_details(run, 3) == {}
    assert read_evaluations(Run(tmp_path / "none")) == []


def test_damage_is_passed_over(tmp_path):
    """A step that is no number is no evaluation; details that are no object are none."""
    run = Run(tmp_path)
    for step in ("2", None, [], float("nan")):
        append_line(run.evaluations, {"step": step, "details": {"iou": 0.5}})
    append_evaluation(run, {"step": 4, "details": 7}, {})
    run.evaluation_details(4).write_text("[1]")
    assert evaluated_steps(run) == {4}
    assert read_details(run, 4) == {}


def test_what_says_nothing_to_measure_is_null(tmp_path):
    """COCO's -1 and PASCAL's NaN; in lines of older versions too. What is read is None."""
    run = Run(tmp_path)
    append_evaluation(run, {"step": 1, "metrics": {"a": -1.0, "b": math.nan, "c": 0.0}}, {"ap": math.nan})
    assert run.evaluations.read_text() == '{"step": 1, "metrics": {"a": null, "b": null, "c": 0.0}}\n'
    assert read_details(run, 1) == {"ap": None}
    with open(run.evaluations, "a", encoding="utf-8") as file:
        file.write('{"step": 2, "metrics": {"a": -1.0, "b": NaN, "c": 0.5}}\n')
    assert [row["metrics"] for row in read_evaluations(run)] == [
        {"a": None, "b": None, "c": 0.0},
        {"a": None, "b": None, "c": 0.5},
    ]
    write_json(run.best_card, {"step": 2, "metric": "a", "value": -1.0, "metrics": {"a": -1.0}})
    assert read_best(run) == {"step": 2, "metric": "a", "metrics": {"a": None}}
