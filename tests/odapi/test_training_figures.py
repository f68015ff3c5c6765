"""What scripts/bench-train makes of its measurements."""

import math
import sys
from dataclasses import asdict

import pytest
import training_figures
from training_figures import Figures, Pair, Turns
from turns import Player, play

ALONE = Turns(started=100.0, away=[], until=1e9)


def raw(first: float, step: float, steps: int = 10, turns: Turns = ALONE) -> dict:
    """A training that began at 100 s: a first step of `first` seconds, then `step` each, a quarter of it waiting."""
    begins = [100 + first - 1, *(100 + first + step * number for number in range(steps - 1))]
    return {
        **asdict(turns), "rows": [[begin, begin + step / 4] for begin in begins],
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


def test_a_step_during_which_it_was_stopped_does_not_count():
    """Nor do those after the other process had ended, which had the machine alone."""
    whole = raw(first=20, step=1.0, steps=20, turns=Turns(100.0, away=[(130.5, 140.5)], until=147.5))
    for row in whole["rows"][11:]:  # Step 11 began at 130 s.
        row[:] = [row[0] + 10, row[1] + 10]
    whole["rows"][-1][0] += 30
    found = training_figures.figures(whole, batch_size=1)
    assert found.step == pytest.approx(1.0) and found.waiting == pytest.approx(0.25)


def test_two_processes_have_the_machine_in_turn(tmp_path):
    """Each is stopped while the other goes on, and both come to their end."""
    code = (
        "import sys, time; open(sys.argv[1], 'w')\nfor _ in range(60): time.sleep(0.01); print(time.time(), flush=True)"
    )
    names = ("a", "b")
    players = [
        Player((sys.executable, "-c", code, str(tmp_path / f"{name}.warm")), tmp_path / f"{name}.warm", tmp_path / name)
        for name in names
    ]
    until = play(players, {}, tmp_path, turn_seconds=0.1)
    for name, player in zip(names, players, strict=True):
        moments = [float(line) for line in (tmp_path / name).read_text().splitlines()]
        assert len(moments) == 60 and len(player.away) > 2
        for left, back in player.away[1:]:
            assert not [one for one in moments if left + 0.05 < one < back]
    assert min(player.started for player in players) < until


def test_without_turns_one_comes_after_the_other(tmp_path):
    """Each alone, never stopped."""
    code = "import time; print(time.time(), flush=True); time.sleep(0.3); print(time.time())"
    players = [Player((sys.executable, "-c", code), tmp_path / f"{name}.warm", tmp_path / name) for name in "ab"]
    assert play(players, {}, tmp_path, turn_seconds=0) == math.inf
    moments = [float(line) for name in "ab" for line in (tmp_path / name).read_text().splitlines()]
    assert moments == sorted(moments) and not any(player.away for player in players)


def test_a_process_that_fails_ends_the_other(tmp_path):
    """With its last words."""
    codes = ("import time; open('a.warm', 'w'); time.sleep(600)", "raise SystemExit('no such thing')")
    players = [
        Player((sys.executable, "-c", code), tmp_path / f"{name}.warm", tmp_path / name)
        for name, code in zip("ab", codes, strict=True)
    ]
    with pytest.raises(SystemExit, match="no such thing"):
        play(players, {}, tmp_path, turn_seconds=0.1)
    assert players[0]._process.poll() is not None


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
