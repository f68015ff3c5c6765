"""An evaluator that is killed leaves nothing out and does nothing twice."""

import os
import subprocess
import sys
from pathlib import Path

from app.run.directory import Run
from app.run.evaluations import read_details
from app.run.files import read_json, read_lines

HERE = Path(__file__).parent


def test_killed_twenty_times_every_checkpoint_is_there_once(tmp_path):
    """30 checkpoints: each step has one whole line, the best is the best, and nothing half-done is left."""
    run = Run(tmp_path / "run")
    run.root.mkdir()
    for path in (run.pipeline_config, run.label_map):
        path.touch()
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent), str(HERE.parents[2])])}
    command = [sys.executable, str(HERE / "killed.py"), str(run.root), "30", "20"]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr[-3000:]

    lines = run.evaluations.read_text(encoding="utf-8").splitlines()
    rows = read_lines(run.evaluations)
    assert [row["step"] for row in rows] == list(range(10, 301, 10))
    assert all(row["images"] == 3 and len(read_details(run, row["step"])["classes"]) == 4 for row in rows)
    assert len(lines) >= len(rows)
    best = read_json(run.best_card)
    assert best["step"] == 150
    assert (run.best / f"{best['checkpoint']}.data-00000-of-00001").read_text() == "150"
    assert [path.name for path in run.root.iterdir() if path.name.startswith(".")] == []
