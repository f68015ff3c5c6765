"""The trainer on real images: cadence, retention, stop, resume, divergence."""

import random
import signal
import time

import pytest
from command import copy_of, detbox, place, start
from events import images, steps

from app.run.files import read_json, read_lines
from app.run.rollbacks import append_rollback, read_rollbacks

pytestmark = pytest.mark.odapi
CADENCE = [
    "--summary_every_n=50", "--image_summary_every_n=100", "--image_summary_max_outputs=2",
    "--learning_rate_summary_every_n=40", "--log_every_n=25", "--checkpoint_every_n=60", "--checkpoint_max_to_keep=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(prepared, tmp_path_factory):
    """The run after `train` with a cadence for everything, and what `train` said."""
    copy = copy_of(prepared, tmp_path_factory.mktemp("trained") / "small")
    result = detbox("train", *place(copy), *CADENCE)
    assert result.returncode == 0, result.stderr
    return copy, result


def test_summaries_are_at_exactly_the_steps_asked_for(trained):
    """Losses, learning rate and images each at their own cadence, with as many images as asked for."""
    run, _ = trained
    found = steps(run.train_events)
    losses = [tag for tag in found if tag.startswith("Loss/")]
    assert len(losses) >= 3
    assert {tag: found[tag] for tag in losses} == {tag: [50, 100, 150, 200] for tag in losses}
    assert found["learning_rate"] == [40, 80, 120, 160, 200]
    assert found["train_input_images"] == [100, 200]
    assert images(run.train_events, "train_input_images") == [2, 2]


def test_checkpoints_kept_are_the_newest(trained):
    """60, 120, 180 and the last step were saved; two stay, and none of an unbuilt model."""
    run, _ = trained
    assert run.checkpoint_steps() == [180, 200]
    assert 'model_checkpoint_path: "ckpt-200"' in (run.root / "checkpoint").read_text()
    assert not [path.name for path in run.root.iterdir() if path.name.startswith(".saving")]


def test_a_finished_run_says_how_it_ended(trained):
    """DONE, heartbeat, metrics and provenance are there and agree."""
    run, _ = trained
    done = read_json(run.done)
    assert (done["step"], done["reason"]) == (200, "completed")
    assert read_json(run.status("trainer"))["state"] == "done"
    rows = read_lines(run.metrics)
    assert [row["step"] for row in rows] == list(range(25, 201, 25))
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert len(read_json(run.provenance)["patches"]["patches"]) >= 10


def test_the_terminal_is_quiet(trained):
    """stdout is for results; stderr has detbox's own lines alone; the chatter is in the log file."""
    run, result = trained
    assert result.stdout == ""
    strange = [
        line for line in result.stderr.splitlines() if not line.startswith(("train |", "devices |", "pipeline |"))
    ]
    assert strange == []
    assert run.log("trainer").stat().st_size > 0


def test_training_again_is_refused_or_goes_on_from_the_newest_whole_checkpoint(trained):
    """A finished run stays finished; with more steps it goes on, past a truncated checkpoint that it keeps."""
    run, _ = trained
    again = detbox("train", *place(run), *CADENCE)
    assert again.returncode == 0 and "finished at step 200" in again.stderr
    data = next(run.root.glob("ckpt-200.data-*"))
    data.write_bytes(data.read_bytes()[:1000])
    more = detbox(
        "train", *place(run), *CADENCE, "--num_train_steps=210", "--batch_size=2", "--checkpoint_backlog_max=9"
    )
    assert more.returncode == 0, more.stderr
    assert "ckpt-200 is broken and passed over" in more.stderr
    assert "resumed from" in more.stderr and "ckpt-180" in more.stderr
    assert read_json(run.done)["step"] == 210


def test_terminated_at_a_random_step_it_ends_at_the_exact_number(fresh):
    """SIGTERM saves the exact step within the time a container gets; `train` again ends at num_train_steps."""
    after = random.Random(time.time()).randint(5, 60)
    flags = [*place(fresh), "--log_every_n=1", "--checkpoint_every_n=50"]
    first = start("train", *flags)
    deadline = time.monotonic() + 600
    while len(read_lines(fresh.metrics)) < after and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert first.wait(timeout=60) == 143
    assert time.monotonic() - began < 25
    reported = read_lines(fresh.metrics)[-1]["step"]
    saved = fresh.checkpoint_steps()[-1]
    assert saved == reported >= after
    second = detbox("train", *flags)
    assert second.returncode == 0, second.stderr
    assert f"resumed from {fresh.checkpoint(saved)}" in second.stderr
    done = read_json(fresh.done)
    assert (done["step"], done["of"]) == (200, 200)
    logged = [row["step"] for row in read_lines(fresh.metrics)]
    assert logged == list(range(1, 201))


def test_a_run_that_diverges_stops_and_saves_nothing_of_it(fresh):
    """A learning rate out of all reason ends with exit code 6 and the remedy; no checkpoint holds a NaN."""
    text = fresh.pipeline_config.read_text("utf-8")
    fresh.pipeline_config.write_text(
        text.replace("gradient_clipping_by_norm: 10.0", "gradient_clipping_by_norm: 0.0"), "utf-8"
    )
    result = detbox("train", *place(fresh), "--log_every_n=5", "--summary_every_n=5", "--learning_rate=1e30",
                    "--config_override=train_config { gradient_clipping_by_norm: 0 }",
                    "--batch_size=2", "--num_train_steps=200", "--warmup_steps=0")  # fmt: skip
    assert result.returncode == 6, result.stderr
    line = result.stderr.splitlines()[-1]
    assert "not finite" in line and "--learning_rate" in line and "no checkpoint is of before" in line
    assert fresh.checkpoint_steps() == []
    assert read_json(fresh.status("trainer"))["state"] == "failed"


DIVERGES = [
    "--log_every_n=5", "--summary_every_n=5", "--checkpoint_every_n=10", "--num_train_steps=30", "--warmup_steps=0",
    "--config_override=train_config { gradient_clipping_by_norm: 0 }", "--on_divergence=rollback",
]  # fmt: skip


def test_a_run_that_diverges_goes_back_and_trains_to_its_end(fresh):
    """At 1e12 nothing can be learnt; the rollback lowers the rate to 0.01, in the schedule that the run has."""
    result = detbox("train", *place(fresh), *DIVERGES, "--learning_rate=1e12", "--rollback_factor=1e-14")
    assert result.returncode == 0, result.stderr
    assert "rollback 1 of 3 to step 0, learning rate 0.01" in result.stderr
    assert read_json(fresh.done)["step"] == 30
    rows = read_lines(fresh.metrics)
    assert [row["step"] for row in rows] == list(range(5, 31, 5))
    assert max(row["learning_rate"] for row in rows) < 0.0101
    (rollback,) = read_rollbacks(fresh)
    assert (rollback.step, rollback.learning_rate_before, rollback.learning_rate) == (
        0, pytest.approx(1e12), pytest.approx(0.01),
    )  # fmt: skip


def test_rollbacks_of_earlier_starts_count(fresh):
    """Two were made before: this start has the third, and then ends with exit code 6."""
    for before in (1e32, 1e31):
        append_rollback(fresh, step=0, before=before, rate=before / 10, reason="it diverged", evaluations=0)
    result = detbox("train", *place(fresh), *DIVERGES, "--learning_rate=1e28")
    assert result.returncode == 6, result.stderr
    assert "rollback 3 of 3" in result.stderr
    assert "all 3 rollbacks are used up" in result.stderr.splitlines()[-1]
    assert len(read_rollbacks(fresh)) == 3


def test_a_run_whose_model_was_changed_is_refused(trained):
    """A checkpoint that does not fit is an error with the remedy, not a fresh start under the same name."""
    run, _ = trained
    newest = run.checkpoint_steps()[-1]
    wider = "model { ssd { box_predictor { weight_shared_convolutional_box_predictor { depth: 96 } } } }"
    result = detbox("train", *place(run), "--num_train_steps=230", "--batch_size=2", f"--config_override={wider}")
    assert result.returncode == 3, result.stderr
    line = result.stderr.splitlines()[-1]
    assert "does not fit the model" in line and "--run=NAME" in line
    assert run.checkpoint_steps()[-1] == newest
