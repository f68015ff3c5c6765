"""What event files are made of."""

import json

import numpy as np
import pytest
from event_logs import START, Log, png, tf1_image, tf1_log, tf2_scalar, torch_log, upstream_log
from tensorboard.compat.proto import summary_pb2

from app.events.statistics import StepRuns, describe_log
from app.jobs.events_stats import EventStatistics
from entrypoint import process


def tags(log):
    return {tag.tag: tag for tag in log.tags}


def test_bytes_add_up(tmp_path):
    """Those of kinds, and of damage, are those of the files."""
    for make in (tf1_log, torch_log, upstream_log):
        make(tmp_path / make.__name__)
    log = describe_log(tmp_path)
    assert log.bytes == sum(file.stat().st_size for file in tmp_path.rglob("*tfevents*")) == sum(log.kinds.values())
    assert (
        sum(tag.bytes for tag in log.tags)
        + log.kinds["damaged"]
        + sum(log.kinds[kind] for kind in ("graph", "file version", "session log", "log message"))
        == log.bytes
    )
    assert {tag.kind for tag in log.tags} == {"scalar", "image", "histogram", "text"}
    assert tags(log)["new_images"].plugin == "images" and tags(log)["input/image/0"].folder == "tf1_log"


def test_resumes_gaps_and_a_cut_tail_are_told(tmp_path):
    """Of upstream's loop, whose restarts are not marked."""
    upstream_log(tmp_path / "log")
    log = describe_log(tmp_path / "log")
    loss = tags(log)["Loss/total_loss"]
    assert (loss.values, loss.superseded, loss.every, loss.gaps) == (38, 12, 100, 0)
    assert (loss.first_step, loss.last_step) == (0, 2500)
    assert [file.is_cut for file in log.files] == [False, False, False, True]
    assert loss.saved == round(loss.bytes * 12 / 38)


def test_a_gap_is_where_the_usual_distance_is_exceeded(tmp_path):
    """A trainer that was down, or a file that was lost."""
    log = Log(tmp_path / "log", start=1000)
    for step in [*range(0, 500, 10), *range(2000, 2500, 10), *range(2600, 2700, 10)]:
        log.values(step, tf2_scalar("loss", 1))
    log.close()
    loss = tags(describe_log(tmp_path / "log"))["loss"]
    assert (loss.every, loss.gaps, loss.longest_gap) == (10, 2, (490, 2000))


def test_marked_restarts_are_counted(tmp_path):
    """By their steps: ours are written twice, for a reader of TensorBoard's that ignores the first."""
    log = Log(tmp_path / "log", start=1000)
    for step in (1, 500):
        log.event(step, session_log=START).event(step, session_log=START)
        for at in range(step, 1000):
            log.values(at, tf2_scalar("loss", 1))
    log.close()
    log = describe_log(tmp_path / "log")
    assert log.files[0].restarts == 2 and tags(log)["loss"].superseded == 500


def test_what_encoding_anew_saves_is_close(tmp_path):
    """By a few of the images."""
    log = Log(tmp_path / "log", start=1000)
    for step in range(60):
        log.values(step, tf1_image("image", png(step, (320, 240)), (320, 240)))
    log.close()
    from app.events.compaction import compact

    saved = describe_log(tmp_path / "log").saved
    result = compact(tmp_path / "log", None, budget=0)
    assert saved == pytest.approx(result.bytes_before - result.bytes_after, rel=0.1)


@pytest.mark.parametrize("seed", range(20))
def test_runs_have_every_step(seed):
    """Whatever the distances."""
    rng = np.random.default_rng(seed)
    steps = np.cumsum(rng.choice([0, 1, 1, 1, 5, -3], rng.integers(0, 60)))
    runs = StepRuns()
    for place, step in enumerate(steps):
        runs.add(int(step), place, 1)
    assert runs.steps()[0].tolist() == steps.tolist() and len(runs.steps()[1]) == len(steps)


def test_a_cadence_takes_no_memory():
    """One run, however long."""
    runs = StepRuns()
    for step in range(0, 100_000, 7):
        runs.add(step, step, 1)
    assert len(runs.counts) == 1


def test_the_commands_print_it(tmp_path, capsys):
    """For people, and as JSON; what compaction wrote is a log of its own."""
    upstream_log(tmp_path / "log")
    assert process.run(["events", "stats", str(tmp_path / "log")]) == 0
    assert "Loss/total_loss" in capsys.readouterr().out
    assert process.run(["events", "compact", str(tmp_path / "log"), "--event_log_budget=20kB", "--json"]) == 0
    log = json.loads(capsys.readouterr().out)["logs"][0]
    assert log["bytes_after"] < 20_000 < log["bytes_before"]
    assert process.run(["events", "stats", str(tmp_path / "log.compacted"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["logs"][0]["bytes"] == log["bytes_after"]


@pytest.mark.parametrize(
    "words", [["--tag_every_n=loss"], ["--tag_every_n==3"], ["--event_log_budget=20XB"], ["--in_place", "--output=x"]]
)
def test_wrong_values_are_refused(tmp_path, capsys, words):
    """Before anything is read."""
    assert process.run(["events", "compact", str(tmp_path), *words]) == 3
    assert "--" in capsys.readouterr().err


def test_steps_and_times_beyond_all_measure_are_told(tmp_path):
    """Steps as far apart as 64 bits allow; times that are none are left out."""
    log = Log(tmp_path / "log", start=1000)
    for step, time in ((-(2**63), float("nan")), (2**63 - 1, 1e300), (-(2**63), float("-inf")), (5, -1.0), (5, 1e300)):
        log.event(step, wall_time=time, summary=summary_pb2.Summary(value=[tf2_scalar("loss", 1)]))
    log.close()
    found = describe_log(tmp_path / "log")
    assert (tags(found)["loss"].first_step, tags(found)["loss"].last_step) == (-(2**63), 2**63 - 1)
    assert (found.files[0].first_time, found.files[0].last_time) == (1000.25, 1000.25)
    assert "written from 1970-01-01" in str(EventStatistics([found]))
