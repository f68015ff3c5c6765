"""The lines of `metrics.jsonl`."""

import os

from app.run.directory import Run
from app.run.metrics import append_metrics, drop_metrics_after, read_metrics


def test_a_resume_drops_what_lies_beyond_its_step(tmp_path):
    """The lines before it stay as they are, those that can't be read too; a second call finds nothing."""
    run = Run(tmp_path)
    for step in (10, 20):
        append_metrics(run, {"step": step, "loss": 0.1, "note": "\u2028"})
    with open(run.metrics, "ab") as file:
        file.write(b'{"step": 20, "lo\n')
    before = run.metrics.read_bytes()
    for step in (30, 40):
        append_metrics(run, {"step": step})
    assert drop_metrics_after(run, 20) == 2
    assert run.metrics.read_bytes() == before
    assert drop_metrics_after(run, 20) == 0
    append_metrics(run, {"step": 30})
    assert [row["step"] for row in read_metrics(run)] == [10, 20, 30]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_nothing_is_written_where_nothing_is_beyond(tmp_path):
    """The file stays the same one; a run without it gets none."""
    run = Run(tmp_path)
    assert drop_metrics_after(run, 0) == 0 and not run.metrics.exists()
    append_metrics(run, {"step": 10})
    os.utime(run.metrics, (1, 1))
    drop_metrics_after(run, 10)
    assert run.metrics.stat().st_mtime == 1


def test_a_line_that_ends_in_half_goes_with_the_steps_after(tmp_path):
    """Killed while it wrote."""
    run = Run(tmp_path)
    append_metrics(run, {"step": 10})
    append_metrics(run, {"step": 20})
    with open(run.metrics, "ab") as file:
        file.write(b'{"step": 30, "lo')
    assert drop_metrics_after(run, 10) == 1
    append_metrics(run, {"step": 20})
    assert [row["step"] for row in read_metrics(run)] == [10, 20]
