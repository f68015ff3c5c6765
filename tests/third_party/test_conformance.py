"""Upstream's tests are held to the committed list in both directions."""

import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "third_party" / "object_detection"
sys.path.insert(0, str(SOURCE))

import conformance  # noqa: E402

FILES = ["object_detection/a_test.py"]
PREFIX = "object_detection.a_test.A."


def test_outcome_as_listed_has_no_fault():
    """A listed failure and an unlisted pass are what is expected."""
    outcomes = {PREFIX + "test_good": "passed", PREFIX + "test_bad": "failed", PREFIX + "test_tf1": "skipped"}
    assert conformance.judge(outcomes, {PREFIX + "test_bad": "why"}, FILES) == []


@pytest.mark.parametrize(
    ("outcomes", "listed", "fault"),
    [
        pytest.param({PREFIX + "t": "failed"}, {}, "fails, is not listed", id="new failure"),
        pytest.param({PREFIX + "t": "passed"}, {PREFIX + "t": "why"}, "passed, but is listed", id="listed pass"),
        pytest.param({PREFIX + "t": "skipped"}, {PREFIX + "t": "why"}, "skipped, but is listed", id="listed skip"),
        pytest.param({}, {PREFIX + "t": "why"}, "listed, but does not exist", id="listed and gone"),
    ],
)
def test_difference_is_a_fault(outcomes, listed, fault):
    """Every kind of difference is named with its test."""
    assert conformance.judge(outcomes, listed, FILES) == [f"{fault}: {PREFIX}t"]


def test_listed_test_of_another_file_is_no_fault():
    """The core run is not blamed for the listed tests that it leaves out."""
    assert conformance.judge({}, {"object_detection.b_test.B.test_bad": "why"}, FILES) == []


def test_report_is_read(tmp_path):
    """Failures, errors, skips and passes are told apart, a module that does not import included."""
    path = tmp_path / "report.xml"
    path.write_text(
        "<testsuites><testsuite>"
        '<testcase classname="m.A" name="good"/><testcase classname="m.A" name="bad"><failure/></testcase>'
        '<testcase classname="" name="m2"><error/></testcase><testcase classname="m.A" name="tf1"><skipped/></testcase>'
        "</testsuite></testsuites>"
    )
    outcomes = {"m.A.good": "passed", "m.A.bad": "failed", "m2": "failed", "m.A.tf1": "skipped"}
    assert conformance.read_report(path) == outcomes


def test_committed_list_is_well_formed():
    """Every listed test has a reason, and there are few."""
    assert all(conformance.read_listed().values())


def test_fingerprint_ignores_prose(tmp_path, monkeypatch):
    """Editing a patch asks for the whole run again, editing the README does not."""
    (tmp_path / "README.md").write_text("a")
    (tmp_path / "0001.patch").write_text("a")
    monkeypatch.setattr(conformance, "HERE", tmp_path)
    first = conformance.fingerprint()
    (tmp_path / "README.md").write_text("b")
    assert conformance.fingerprint() == first
    (tmp_path / "0001.patch").write_text("b")
    assert conformance.fingerprint() != first
