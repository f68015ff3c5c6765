"""Where a run goes on, and when it must not begin anew."""

import pytest
from refusals import refused

from app.errors import SettingsError
from app.run.directory import CHECKPOINT_STATE, Run
from app.run.files import append_line, write_json
from app.training.resume import find_resume, refuse_lost_progress


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "r")


def save(run, *steps):
    run.root.mkdir(exist_ok=True)
    for step in steps:
        for suffix in ("data-00000-of-00001", "index"):
            (run.root / f"ckpt-{step}.{suffix}").write_text(str(step))


def keep_best(run, step):
    run.best.mkdir(parents=True)
    (run.best / f"ckpt-{step}.index").touch()


def broken(*steps):
    return lambda prefix: "cut short" if int(prefix.name.rpartition("-")[2]) in steps else None


def test_it_goes_on_from_the_newest_whole_one(run, caplog):
    """Broken ones after it are said, and put where they are no checkpoints of the run any more."""
    save(run, 10, 20, 30, 40)
    assert find_resume(run, broken(30, 40, 10)) == run.checkpoint(20)
    assert run.checkpoint_steps() == [10, 20]
    assert sorted(path.name for path in run.broken.iterdir()) == [
        f"ckpt-{step}.{suffix}" for step in (30, 40) for suffix in ("data-00000-of-00001", "index")
    ]
    assert [step for step in (30, 40) if f"ckpt-{step} is broken and passed over: cut short" in caplog.text] == [30, 40]
    assert find_resume(run, broken(30, 40)) == run.checkpoint(20)


def test_a_new_run_goes_on_from_nothing(run):
    """Also one that was killed before its first checkpoint: its metrics are no sign of one."""
    run.root.mkdir()
    append_line(run.metrics, {"step": 7})
    refuse_lost_progress(run)
    assert find_resume(run, broken()) is None


def test_a_run_whose_checkpoints_are_all_broken_is_refused(run):
    """They are named and stay where they are; best/ is offered with the command that takes it."""
    save(run, 10, 20)
    with refused(SettingsError, where=str(run.root), flag="--run", about="ckpt-20 (cut short), ckpt-10 (cut short)"):
        find_resume(run, broken(10, 20))
    assert run.checkpoint_steps() == [10, 20] and not run.broken.exists()
    keep_best(run, 10)
    with refused(SettingsError, flag=f"cp {run.best / 'ckpt-10'}.* {run.root}") as caught:
        find_resume(run, lambda prefix: None if prefix.parent == run.best else "cut short")
    assert caught.value.exit_code == 3
    with refused(SettingsError) as caught:
        find_resume(run, broken(10, 20))
    assert "cp " not in caught.value.remedy


@pytest.mark.parametrize("trace", ["done", "evaluation", "state", "best"])
def test_a_run_that_had_a_checkpoint_does_not_begin_anew(run, trace):
    """Whichever of its files says so."""
    run.root.mkdir()
    if trace == "done":
        write_json(run.done, {"step": 40})
    elif trace == "evaluation":
        append_line(run.evaluations, {"step": 40})
    elif trace == "state":
        (run.root / CHECKPOINT_STATE).write_text('model_checkpoint_path: "ckpt-40"\n')
    else:
        keep_best(run, 40)
    with refused(SettingsError, where=str(run.root), flag="--run"):
        refuse_lost_progress(run)
    save(run, 40)
    refuse_lost_progress(run)
