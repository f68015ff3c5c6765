"""What the trainer does between steps, on a loop that computes nothing."""

import math
import os
import signal

import pytest
from refusals import refused

from app.errors import DatasetError, DivergedError
from app.run.directory import Run
from app.run.files import append_line, read_json, read_lines, write_json
from app.run.heartbeat import write_heartbeat
from app.training.agreement import Agreement
from app.training.stop import Interrupted, StopFlag
from app.training.trainer import Trainer
from app.write_schedule import WriteSchedule


class FakeLoop:
    """Counts steps, remembers what it was told; saves empty files as checkpoints."""

    def __init__(self, run, train_steps, *, step=0, bad_step=None, most=1):
        self.run, self.train_steps, self.step, self.bad_step, self.most = run, train_steps, step, bad_step, most
        self.batch_size, self.is_chief = 4, True
        self.restored_from = self.fine_tuned_from = None
        self.checkpoints = {}
        self.scalars: dict[int, dict[str, float]] = {}
        self.saved: list[int] = []

    def losses(self):
        return {"Loss/total_loss": 1.0 / max(self.step, 1), "Loss/classification_loss": 0.5}

    def learning_rate(self):
        return 0.01

    def first_non_finite(self):
        return self.bad_step if self.bad_step is not None and self.step >= self.bad_step else None

    def write_scalars(self, scalars):
        self.scalars.setdefault(self.step, {}).update(scalars)

    def save(self):
        path = self.run.checkpoint(self.step)
        self.checkpoints[self.step] = str(path)
        if self.is_chief:
            path.parent.mkdir(exist_ok=True)
            path.with_name(f"{path.name}.index").touch()
        self.saved.append(self.step)
        return str(path)

    def delete(self, steps):
        for step in steps:
            del self.checkpoints[step]
            self.run.checkpoint(step).with_name(f"{self.run.checkpoint(step).name}.index").unlink()

    def drive(self, trainer, before_step=lambda step: None):
        """The loop of `train_loop`: ask, run at most `most` steps, tell."""
        trainer.begin(self)
        while (steps := min(trainer.steps_to_run(self), self.most)) > 0:
            before_step(self.step)
            self.step += steps
            trainer.after_steps(self)
        trainer.end(self)


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "run")


def trainer_for(run, *, clock=None, stop=None, loss_upper_bound=0.0, **changed):
    values = {
        "checkpoint_every_n": 10,
        "checkpoint_every_secs": 0,
        "checkpoint_max_to_keep": 2,
        "checkpoint_backlog_max": 3,
        "summary_every_n": 5,
        "learning_rate_summary_every_n": changed.get("summary_every_n", 5),
        "image_summary_every_n": 0,
        "image_summary_max_outputs": 0,
        "log_every_n": 10,
        "num_steps_per_iteration": 100,
        "eval_image_outputs": 0,
    }
    schedule = WriteSchedule(**{**values, **changed})
    return Trainer(
        run,
        schedule,
        stop or StopFlag(),
        newest=None,
        loss_upper_bound=loss_upper_bound,
        clock=clock or Clock(),
    )


def test_losses_and_learning_rate_have_their_own_cadence(run):
    """Each tag is written at exactly the multiples of its own setting."""
    loop = FakeLoop(run, 30)
    loop.drive(trainer_for(run, summary_every_n=6, learning_rate_summary_every_n=15))
    losses = [step for step, tags in loop.scalars.items() if "Loss/total_loss" in tags]
    rates = [step for step, tags in loop.scalars.items() if "learning_rate" in tags]
    assert losses == [6, 12, 18, 24, 30]
    assert rates == [15, 30]


@pytest.mark.parametrize("most", [1, 7, 100])
def test_blocks_of_steps_end_where_something_is_due(run, most):
    """However many steps a call may run, nothing is overshot: summaries, checkpoints, the end."""
    loop = FakeLoop(run, 23, most=most)
    loop.drive(trainer_for(run, summary_every_n=5, checkpoint_every_n=10))
    assert loop.step == 23
    assert [step for step, tags in loop.scalars.items() if "Loss/total_loss" in tags] == [5, 10, 15, 20]
    assert loop.saved == [10, 20, 23]


def test_the_last_step_is_saved_once(run):
    """A run whose last step is a multiple of the cadence saves it one time."""
    loop = FakeLoop(run, 20)
    loop.drive(trainer_for(run))
    assert loop.saved == [10, 20]
    assert read_json(run.done)["step"] == 20
    assert read_json(run.done)["reason"] == "completed"


def test_checkpoints_by_seconds(run):
    """With seconds given, a checkpoint is due when so many have passed since the last."""
    clock = Clock()

    def tick(step):
        clock.now += 3

    loop = FakeLoop(run, 10)
    loop.drive(trainer_for(run, clock=clock, checkpoint_every_secs=8), before_step=tick)
    assert loop.saved == [3, 6, 9, 10]


def test_without_an_evaluator_the_newest_stay(run):
    """Unseen checkpoints are kept while training goes on, and let go at its end if nobody ever looked."""
    loop = FakeLoop(run, 60)
    loop.drive(trainer_for(run))
    assert sorted(loop.checkpoints) == [50, 60]


def test_retention_waits_for_the_evaluator(run, caplog):
    """With an evaluator about, unseen checkpoints stay within the bound; what is dropped is said."""
    write_heartbeat(run, "evaluator", state="waiting", step=0, of=0)
    append_line(run.evaluations, {"step": 10})
    loop = FakeLoop(run, 80)
    with caplog.at_level("WARNING", logger="app"):
        loop.drive(trainer_for(run))
    assert sorted(loop.checkpoints) == [40, 50, 60, 70, 80]
    assert "20" in caplog.text and "checkpoint_backlog_max" in caplog.text


def test_a_signal_stops_between_steps_with_the_exact_step_saved(run):
    """SIGTERM at step 13 saves step 13, and the run is not done."""
    stop = StopFlag()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    stop.listen()
    try:
        loop = FakeLoop(run, 100)
        trainer = trainer_for(run, stop=stop)
        loop.drive(trainer, before_step=lambda step: step == 12 and os.kill(os.getpid(), signal.SIGTERM))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert loop.step == 13
    assert loop.saved == [10, 13]
    assert trainer.stopped_for == "SIGTERM"
    assert not run.done.exists()
    assert read_json(run.status("trainer"))["state"] == "stopped"


def test_a_checkpoint_is_on_the_disk_before_it_is_reported(run, monkeypatch, caplog):
    """And before older ones go: its files, then the folder that has their names."""
    flushed = []
    monkeypatch.setattr("app.training.trainer.flush", lambda paths: flushed.append((list(paths), caplog.text)))
    with caplog.at_level("INFO", logger="app"):
        FakeLoop(run, 10).drive(trainer_for(run))
    ((paths, said),) = flushed
    assert [path.name for path in paths] == ["ckpt-10.index", run.name]
    assert "saved" not in said and "saved" in caplog.text


def test_events_are_on_disk_before_a_checkpoint_is(run):
    """With those of the step that is saved: it is gone on from."""
    loop, order = FakeLoop(run, 10), []
    trainer, save = trainer_for(run), loop.save
    trainer._events.before_save = lambda loop, run: order.append(("events", list(loop.scalars)))
    loop.save = lambda: order.append("save") or save()
    loop.drive(trainer)
    assert order == [("events", [5, 10]), "save"]


def test_a_signal_in_the_last_save_is_named(run):
    """It comes after the last look whether to stop, and is why the run is not done."""
    stop, loop = StopFlag(), FakeLoop(run, 25)
    trainer, save = trainer_for(run, stop=stop), loop.save

    def save_late() -> str:
        stop.signal = signal.SIGTERM if loop.step == 25 else None
        return save()

    loop.save = save_late
    loop.drive(trainer)
    assert (loop.saved, trainer.stopped_for) == ([10, 20, 25], "SIGTERM")
    assert not run.done.exists()


def test_a_signal_before_the_first_step_ends_at_once():
    """While there is nothing to lose the handler raises, so that no one waits for a graph to be traced."""
    stop = StopFlag()
    with pytest.raises(Interrupted) as caught:
        stop._catch(signal.SIGTERM, None)
    assert caught.value.stopped.exit_code == 143


def test_another_service_can_stop_the_run(run):
    """A stop request in the run ends training in good order, with its reason in DONE."""
    clock = Clock()

    def request(step):
        clock.now += 2
        if step == 20:
            write_json(run.stop_request, {"reason": "early-stopped"})

    loop = FakeLoop(run, 100)
    loop.drive(trainer_for(run, clock=clock), before_step=request)
    assert loop.step == 21
    assert read_json(run.done) | {"time": 0} == {"step": 21, "of": 100, "reason": "early-stopped", "time": 0}


def test_a_loss_that_is_not_finite_stops_the_run_before_anything_is_saved(run):
    """The error names the step and the last good checkpoint; nothing later is saved."""
    loop = FakeLoop(run, 100, bad_step=22)
    with refused(DivergedError, where="train", flag="--learning_rate", about="22"):
        loop.drive(trainer_for(run))
    assert loop.saved == [10, 20]
    assert loop.step == 25  # the next summary


def test_a_loss_above_its_bound_is_not_saved(run):
    """Looked at before each save as well, also where no summary is due."""
    loop = FakeLoop(run, 100)
    with refused(DivergedError, where="train", flag="--learning_rate", about="step 10"):
        loop.drive(trainer_for(run, loss_upper_bound=0.001, summary_every_n=50, log_every_n=50))
    assert loop.saved == []


def test_metrics_have_a_line_per_log_interval(run):
    """metrics.jsonl has the logged steps, with rates from the clock."""
    clock = Clock()

    def tick(step):
        clock.now += 0.5

    FakeLoop(run, 25).drive(trainer_for(run, clock=clock), before_step=tick)
    rows = read_lines(run.metrics)
    assert [row["step"] for row in rows] == [10, 20, 25]
    assert all(math.isclose(row["steps_per_sec"], 2.0) for row in rows)
    assert all(math.isclose(row["examples_per_sec"], 8.0) for row in rows)
    assert all(row["memory_mb"] > 0 and row["learning_rate"] == 0.01 for row in rows)


def test_a_worker_that_is_not_chief_writes_nothing(run):
    """Only the chief writes into the run; every worker takes part in saving."""
    loop = FakeLoop(run, 20)
    loop.is_chief = False
    loop.drive(trainer_for(run))
    assert loop.saved == [10, 20]
    assert not run.root.exists()


def test_what_another_thread_has_found_ends_training_with_the_step_saved(run):
    """Saved as for a signal; the run is not done, and its heartbeat says why."""
    stop, loop = StopFlag(), FakeLoop(run, 1000)
    trainer = trainer_for(run, stop=stop)

    def find(step):
        if step == 13:
            stop.fail(DatasetError("record 5 is damaged"))

    trainer._request_due.mark()
    loop.most = 1
    loop.drive(trainer, find)
    assert loop.saved[-1] == loop.step == 14 and not run.done.exists()
    assert "record 5" in read_json(run.status("trainer"))["reason"]


def test_the_step_before_a_call_that_failed_is_saved(run):
    """Where a call is one step; of several nobody knows how many were done."""
    for steps, saved in ((1, [10, 14]), (4, [10])):
        loop = FakeLoop(run, 1000, most=steps)
        trainer = trainer_for(run, num_steps_per_iteration=steps, summary_every_n=1000, log_every_n=1000)
        trainer.begin(loop)
        while loop.step < 14:
            loop.step += trainer.steps_to_run(loop)
            trainer.after_steps(loop)
        trainer.call_failed()
        trainer.save_rest()
        assert loop.saved == saved


def test_records_that_are_passed_over_are_in_the_metrics(run):
    """Their number, where there are any."""
    loop = FakeLoop(run, 20)
    trainer = trainer_for(run)
    trainer._skipped_records = 3
    loop.drive(trainer)
    assert [row["skipped_records"] for row in read_lines(run.metrics)] == [3, 3]


def agreed_by(answers, asked):
    """The `total` of an agreement: `answers` are signals by step, `asked` collects what this worker said."""

    def total(numbers):
        asked.append(list(numbers))
        return answers.pop(0) if answers else list(numbers)

    return total


def test_a_worker_stops_when_another_got_the_signal(run):
    """At the step where they agreed, with that signal's number; it writes nothing into the run."""
    loop, asked = FakeLoop(run, 30), []
    loop.is_chief = False
    trainer = trainer_for(run)
    trainer._agreement = Agreement(
        agreed_by([[0, 0, 0, 0, 0, 3], [1, 0, 0, 0, 0, 1]], asked), is_chief=False, clock=Clock()
    )
    loop.drive(trainer)
    assert loop.step == 3 and loop.saved == [3]
    assert trainer.stop.signal == signal.SIGTERM and trainer.stopped_for == "SIGTERM"
    assert not run.root.exists() or not any(run.root.iterdir())


def test_workers_save_by_the_chiefs_clock(run):
    """By seconds, at the steps at which they ask each other, not by a clock of their own."""
    loop, asked = FakeLoop(run, 6), []
    loop.is_chief = False
    trainer = trainer_for(run, checkpoint_every_secs=1)
    save = [0, 0, 0, 0, 1, 2]
    trainer._agreement = Agreement(agreed_by([[0, 0, 0, 0, 0, 2], save, save], asked), is_chief=False, clock=Clock())
    loop.drive(trainer)
    assert loop.saved == [2, 4, 6]
