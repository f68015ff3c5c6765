"""The queue of checkpoints to evaluate."""

import pytest

from app.evaluation import checkpoint_queue
from app.run.directory import Run
from app.run.files import append_line, read_json, write_json
from app.run.heartbeat import Heartbeat


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def save(run, *steps):
    for step in steps:
        run.checkpoint(step).with_name(f"ckpt-{step}.index").touch()


def evaluated(run, prefix):
    append_line(run.evaluations, {"step": step_of(prefix)})


def step_of(prefix):
    return int(prefix.name.rpartition("-")[2])


def stream(run, *, once=False, sleep=None, fault=lambda prefix: None):
    def never(seconds):
        raise AssertionError("it waits")

    for prefix in checkpoint_queue.iterate_checkpoints(run, once=once, wait_secs=1, fault=fault, sleep=sleep or never):
        yield step_of(prefix)
        evaluated(run, prefix)


def test_every_checkpoint_once_oldest_first(run):
    """Checkpoints that were evaluated before are left out; the rest come in order."""
    save(run, 30, 10, 20)
    append_line(run.evaluations, {"step": 10})
    assert list(stream(run, once=True)) == [20, 30]


def test_it_waits_and_ends_with_the_trainer(run):
    """New checkpoints are taken as they come; after DONE the stream ends when none is left."""
    save(run, 10)
    reasons = []

    def sleep(seconds):
        reasons.append(read_json(run.status("evaluator"))["reason"])
        if len(reasons) == 1:
            save(run, 20)
        else:
            save(run, 30)
            write_json(run.done, {"step": 30})

    assert list(stream(run, sleep=sleep)) == [10, 20, 30]
    assert reasons == ["no trainer has started in this run yet"] * 2


def test_a_damaged_checkpoint_is_skipped_with_a_warning(run, caplog):
    """It is not evaluated, and does not hold up the others."""
    save(run, 10, 20)
    with caplog.at_level("WARNING", logger="app"):
        steps = list(stream(run, once=True, fault=lambda prefix: "cut short" if step_of(prefix) == 10 else None))
    assert steps == [20]
    assert "ckpt-10" in caplog.text and "cut short" in caplog.text


def test_a_checkpoint_that_is_deleted_is_no_fault(run, caplog, monkeypatch):
    """Retention may delete a checkpoint between the listing and the evaluation."""
    save(run, 10, 20)
    checkpoint_steps = Run.checkpoint_steps

    def list_then_delete(self):
        steps = checkpoint_steps(self)
        run.checkpoint(10).with_name("ckpt-10.index").unlink(missing_ok=True)
        return steps

    monkeypatch.setattr(Run, "checkpoint_steps", list_then_delete)
    assert list(stream(run, once=True)) == [20]
    assert caplog.text == ""


def test_a_pinned_checkpoint_outlives_its_deletion(run):
    """The files that are yielded are there until the next ones, whatever happens to the trainer's."""
    save(run, 10)
    for prefix in checkpoint_queue.iterate_checkpoints(run, once=True, wait_secs=1, fault=lambda prefix: None):
        run.checkpoint(10).with_name("ckpt-10.index").unlink()
        assert prefix.with_name("ckpt-10.index").exists()
        evaluated(run, prefix)
    assert not run.pinned_checkpoint.exists()


@pytest.mark.parametrize(
    ("state", "written", "reason"),
    [
        ("not started", 0.0, "no trainer has started in this run yet"),
        ("training", 1000.0, "for the next checkpoint; the trainer is training"),
        ("training", 100.0, "the trainer's last heartbeat was at step 5 of 9"),
        ("failed", 1000.0, "the trainer failed at step 5 of 9; it may be started again"),
    ],
)
def test_it_says_why_it_waits(state, written, reason):
    """The reason names the trainer's state, or that it went silent."""
    trainer = Heartbeat(service="trainer", state=state, step=5, of=9, time=written)
    assert checkpoint_queue.describe_wait(trainer, now=1001.0) == reason


def test_it_does_not_wait_for_a_trainer_that_failed_for_good(run, caplog):
    """What is there is evaluated; a trainer that failed minutes ago and was not restarted is given up."""
    save(run, 10)
    write_json(run.status("trainer"), {"state": "failed", "step": 10, "of": 90, "time": 1000.0})
    waits = []
    times = iter([1005.0, 1010.0, 2000.0])

    def stream_of():
        for prefix in checkpoint_queue.iterate_checkpoints(
            run, once=False, wait_secs=1, fault=lambda prefix: None, sleep=waits.append, clock=lambda: next(times)
        ):
            yield prefix
            evaluated(run, prefix)

    with caplog.at_level("WARNING", logger="app"):
        assert len(list(stream_of())) == 1
    assert len(waits) == 1
    assert "is not started again" in caplog.text


def test_it_ends_at_once_with_a_trainer_that_said_it_failed_for_good(run):
    """Since it waits, that is: one that had failed before may be about to start."""
    save(run, 10)
    failed = {"state": "failed", "step": 10, "of": 90, "code": 6}
    write_json(run.status("trainer"), {**failed, "time": 1000.0})
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        write_json(run.status("trainer"), {**failed, "time": 1020.0})

    for prefix in checkpoint_queue.iterate_checkpoints(
        run, once=False, wait_secs=1, fault=lambda prefix: None, sleep=sleep, clock=lambda: 1010.0
    ):
        evaluated(run, prefix)
    assert waits == [1]


def test_a_disk_that_fails_ends_the_stream_without_a_word_of_its_own(run, monkeypatch):
    """The links to the checkpoint can't be removed then; the error is that of who evaluates."""
    save(run, 10)
    made = checkpoint_queue.iterate_checkpoints(run, once=True, wait_secs=1, fault=lambda prefix: None)
    next(made)

    def refuse(path):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("shutil.rmtree", refuse)
    made.close()
    assert run.pinned_checkpoint.exists()
