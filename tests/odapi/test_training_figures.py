"""What scripts/bench-train makes of its measurements."""

import pytest
import training_figures
from training_figures import Figures, Pair


def raw(first: float, step: float, steps: int = 10) -> dict:
    """A training that began at 100 s: a first step of `first` seconds, then `step` each, a quarter of it waiting."""
    begins = [100 + first - 1, *(100 + first + step * number for number in range(steps - 1))]
    return {
        "started": 100.0, "rows": [[begin, begin + step / 4] for begin in begins],
        "cpu": [2 * begin for begin in begins], "memory": 3e8, "gpu_memory": 0, "event_bytes": 4000, "loss": 1.5,
    }  # fmt: skip


def test_figures_of_a_training():
    """The first steps count for nothing but the time to the first one."""
    found = training_figures.figures(raw(first=20, step=0.5), batch_size=4)
    assert found == Figures(
        step=pytest.approx(0.5), step_cpu=pytest.approx(1.0), images=pytest.approx(8), waiting=pytest.approx(0.25),
        first_step=pytest.approx(20), first_step_cpu=240, memory=3e8, gpu_memory=0, event_bytes=4000, loss=1.5,
    )  # fmt: skip


def test_too_few_steps_are_refused():
    """Of three steps nothing is left after warming up."""
    with pytest.raises(SystemExit, match="too few"):
        training_figures.figures(raw(first=1, step=1, steps=3), batch_size=1)


def test_the_table_has_the_ratio_of_pairs_with_its_spread():
    """Not the ratio of the medians; no row for what neither has."""
    pairs = [
        tuple(training_figures.figures(raw(first, step), batch_size=1) for first, step in sides)
        for sides in (((20, 1.0), (10, 0.5)), ((20, 4.0), (5, 1.0)), ((20, 1.0), (4, 0.8)))
    ]
    lines = training_figures.table(pairs, ("upstream", "detbox")).splitlines()
    assert "| a step, ms | 1000.0 | 800.0 | 0.50 (0.25 to 0.80) |  |" in lines
    assert "| images a second | 1.0 | 1.2 | 2.00 (1.25 to 4.00) | more is better |" in lines
    assert "| time to the first step, s | 20.0 | 5.0 | 0.25 (0.20 to 0.50) |  |" in lines
    assert not [line for line in lines if "GPU" in line]


def test_results_add_up_and_are_written(tmp_path):
    """Pairs of one kind are one table, whichever file they are in."""
    one = training_figures.figures(raw(10, 1), batch_size=1)
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for file in files:
        training_figures.append(file, Pair("tiny", "2 cores", ("upstream", "detbox"), (one, one)))
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- generated: trainings -->\nold\n<!-- end of trainings -->\nb\n")
    training_figures.write_tables(page, training_figures.read_pairs(files))
    text = page.read_text()
    assert "**tiny.** 2 cores; pairs: 2." in text and "old" not in text and text.endswith("b\n")
    assert text.count("images a second") == 1
