"""The search for a batch size, with small programs in place of the training steps."""

import os
import re
import signal
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from refusals import refused

from app.errors import OutOfMemoryError, SettingsError
from app.machine import gpus, memory
from app.pipeline import batch_size_record
from app.pipeline.build import Request, build
from app.pipeline.step_plan import PLAIN, StepPlan
from app.protos import pipeline_config
from app.run import provenance
from app.run.directory import Run
from app.services import batch_size

PRELUDE = """
import json, os, re, sys, time
batch = int(re.search(r"train_config [{].*? batch_size: ([0-9]+)", open(sys.argv[1]).read(), re.S)[1])
asked = json.load(open(sys.argv[2]))
open(STARTS, "a").write(f"{batch} ")
def report(**fields):
    with open(sys.argv[3] + "~", "w") as file:
        json.dump({"doing": "step 1 of 5", "seconds": [9, batch / min(batch, CORES)], **fields}, file)
    os.rename(sys.argv[3] + "~", sys.argv[3])
"""


@pytest.fixture
def run(tmp_path):
    """A run that is not prepared."""
    found = Run(tmp_path / "r")
    found.root.mkdir()
    return found


@pytest.fixture
def child(monkeypatch, tmp_path):
    """`child(program)` makes a program of Python the process of a try; returns what reads the batches it was for."""
    starts = tmp_path / "starts"

    def use(program: str, cores: int = 1000):
        code = f"STARTS, CORES = {str(starts)!r}, {cores}\n{PRELUDE}{program}"
        monkeypatch.setattr(batch_size, "COMMAND", (sys.executable, "-c", code))
        return lambda: [int(one) for one in starts.read_text().split()] if starts.exists() else []

    return use


def ask(**changes) -> batch_size.Asked:
    """For the preset `tiny`, 100 images."""

    def make(images: int):
        config = build(Request(model="tiny", num_classes=1, batch_size=changes.get("update") or images)).config
        return config, replace(PLAIN, parts=changes["update"] // images) if "update" in changes else PLAIN

    return batch_size.Asked(**{"make": make, "images": 100, "boxes": 7, "seconds": 60.0} | changes)


ROOM_FOR_3 = (
    "report(ended=True, peak_bytes=batch << 20, out_of_memory=batch > 3, failure='no memory' if batch > 3 else '')"
)


def test_largest_that_fits_is_recorded_with_why(run, child, caplog):
    """And said in the log, a line for each try."""
    tried = child(ROOM_FOR_3)
    with caplog.at_level("INFO"):
        assert batch_size.resolve(run, ask()) == 3
    assert tried() == [1, 2, 4, 3]
    known = batch_size_record.read(run)
    assert known.batch_size == 3 and "4 run out of memory (no memory)" in known.why
    assert [one.images for one in known.tries] == tried() and known.tries[0].bytes == 1 << 20
    assert str(known) in caplog.text and len(re.findall("fits$", caplog.text, re.MULTILINE)) == 3


def test_is_not_searched_for_again(run, child):
    """By a repeated `prepare`; another set of records, or another plan, is another question."""
    tried = child(ROOM_FOR_3)
    for _ in range(2):
        assert batch_size.resolve(run, ask()) == 3
    assert len(tried()) == 4
    batch_size.resolve(run, ask(fingerprint="other"))
    assert len(tried()) == 8


def test_length_and_learning_rate_do_not_matter(run, child):
    """They take no memory."""
    tried = child(ROOM_FOR_3)
    batch_size.resolve(run, ask())

    def make(images: int):
        request = Request(model="tiny", num_classes=1, batch_size=images, num_train_steps=77, learning_rate=0.5)
        return build(request).config, PLAIN

    assert batch_size.resolve(run, ask(make=make)) == 3
    assert len(tried()) == 4


def test_another_machine_searches_anew_until_there_is_a_checkpoint(run, child, monkeypatch):
    """A resumed run keeps its batch, wherever it goes on."""
    tried = child(ROOM_FOR_3)
    batch_size.resolve(run, ask())
    assert not batch_size.is_open(run)
    monkeypatch.setattr(memory, "training_memory", lambda: memory.Memory(1 << 33, "host"))
    assert batch_size.is_open(run)
    batch_size.resolve(run, ask())
    assert len(tried()) == 8
    monkeypatch.setattr(memory, "training_memory", lambda: memory.Memory(1 << 34, "host"))
    run.checkpoint(10).with_name("ckpt-10.index").touch()
    assert not batch_size.is_open(run)
    assert batch_size.resolve(run, ask(fingerprint="other")) == 3
    assert len(tried()) == 8


@pytest.mark.parametrize(
    "end",
    [
        "os.kill(os.getpid(), 9)",
        "os.abort()",
        "report(ended=True, failure='ResourceExhaustedError: OOM', out_of_memory=True)",
        "held = bytearray(1 << 29); time.sleep(60)",
        "report(ended=True, peak_bytes=1 << 40)",
        "time.sleep(60)",
    ],
    ids=["killed", "aborted", "raised", "grew", "had grown", "took long"],
)
def test_every_way_of_not_fitting(run, child, end, monkeypatch):
    """The process that was killed, gave up, grew too large or took too long was one of the batch that does not fit."""
    monkeypatch.setattr(memory, "free_memory", lambda: 400 << 20)
    child(f"if batch > 2:\n    {end}\nelse:\n    report(ended=True, peak_bytes=50 << 20)")
    assert batch_size.resolve(run, ask(seconds=2.0)) == 2


@pytest.mark.parametrize(
    ("end", "error", "flag"),
    [("os.abort()", OutOfMemoryError, "--image_size"), ("time.sleep(60)", SettingsError, "--trial_secs")],
)
def test_no_batch_fits(run, child, end, error, flag):
    """Exit code 7, or 3 if it was for time, with what to change; nothing is recorded."""
    child(end)
    with refused(error, flag=flag):
        batch_size.resolve(run, ask(seconds=1.0))
    assert batch_size_record.read(run) is None


def test_what_is_no_matter_of_memory_ends_the_search(run, child):
    """A config that can't be trained is exit code 3, as in the trial; its traceback has a log."""
    tried = child("print('Traceback'); report(ended=True, failure='ValueError: no such thing')")
    with refused(SettingsError, about="no such thing", flag="--model"):
        batch_size.resolve(run, ask())
    assert tried() == [1] and run.log("batch_size").read_text() == "Traceback\n"


def test_a_cpu_stops_where_it_is_no_faster(run, child, monkeypatch):
    """A GPU takes what fits, less a tenth of its own memory."""
    child("report(ended=True, peak_bytes=batch << 20)", cores=4)
    assert batch_size.resolve(run, ask()) == 4
    child("report(ended=True, device='GPU', limit_bytes=50 << 20, peak_bytes=batch << 20)", cores=4)
    monkeypatch.setattr(memory, "training_memory", lambda: memory.Memory(60 << 20, "GPU"))
    assert 40 <= batch_size.resolve(run, ask()) <= 45
    assert "45 MiB" in batch_size_record.read(run).bound or "47" in batch_size_record.read(run).bound


def test_room_is_left_for_the_evaluator(run, child, monkeypatch):
    """It runs on the same CPU, and takes about what the first try took."""
    monkeypatch.setattr(memory, "free_memory", lambda: 1000 << 20)
    child("report(ended=True, peak_bytes=(200 + 50 * batch) << 20)")
    assert batch_size.resolve(run, ask()) == 9  # 650 of 900 - 250


def test_a_container_of_its_own_has_no_evaluator_beside(run, child, monkeypatch):
    """Where compose.yaml limits the trainer's memory all of that is the trainer's; else it is shared."""
    monkeypatch.setenv(batch_size.COMPOSE, "true")
    monkeypatch.setattr(memory, "free_memory", lambda: 1000 << 20)
    monkeypatch.setattr(memory, "host_memory", lambda: memory.system_memory()[0])
    child("report(ended=True, peak_bytes=(200 + 50 * batch) << 20)")
    assert batch_size.resolve(run, ask()) == 9
    monkeypatch.setattr(memory, "host_memory", lambda: 1000 << 20)
    batch_size_record.write(run, batch_size.BatchSize(1, "", "", "another machine", "", []))
    assert batch_size.resolve(run, ask()) == 14  # 900 of 900


def test_several_gpus_and_workers(run, child, monkeypatch):
    """Sizes are multiples of both; a process of one machine is given its part, and no cluster."""
    monkeypatch.setattr(gpus, "visible", lambda found, environ: [SimpleNamespace(uuid=name) for name in "ab"])
    monkeypatch.setenv("TF_CONFIG", "{}")
    tried = child("assert 'TF_CONFIG' not in os.environ\n" + ROOM_FOR_3)
    assert batch_size.resolve(run, ask(workers=3)) == 6
    assert tried() == [2, 4]


def test_passes_of_an_update(run, child):
    """The largest divisor of the update that fits, by the plan that training will have."""
    tried = child(
        "images = batch // asked['plan']['parts']\n"
        "report(ended=True, seconds=[9, 1 / images], out_of_memory=images > 7, failure='no' if images > 7 else '')"
    )
    assert batch_size.resolve(run, ask(update=48)) == 6
    assert tried() == [48] * 5


def test_the_process_is_told_what_to_try(run, child):
    """The most boxes of an image, the plan of a step, what part of its memory it may take."""
    child(
        f"assert asked == dict(boxes=7, plan={vars(StepPlan())}, deterministic=True, share={batch_size.SHARE}), asked\n"
        "report(ended=True)"
    )
    assert batch_size.resolve(run, ask(images=1, deterministic=True)) == 1


def test_a_signal_leaves_no_process(run, child):
    """The child is ended, whatever it is at."""
    child("open(sys.argv[1] + 'x', 'w'); print(os.getpid(), flush=True); time.sleep(60)")

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            batch_size.resolve(run, ask())
    finally:
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int(run.log("batch_size").read_text()), 0)


def write_pipeline(run: Run, images: int) -> None:
    """The pipeline.config of a run with updates of so many images."""
    config = build(Request(model="tiny", num_classes=1, batch_size=images)).config
    run.pipeline_config.write_text(pipeline_config.print_pipeline(config))


def test_late_out_of_memory_names_the_batch_to_try(run, child):
    """The largest that was tried and fits; without any half of it; of one image another model."""
    assert batch_size.as_out_of_memory(run, ValueError("x")) is None
    write_pipeline(run, 12)
    error = batch_size.as_out_of_memory(run, MemoryError("no"))
    assert error.exit_code == 7 and "--batch_size=6 " in error.remedy
    assert "--effective_batch_size=12 " in error.remedy
    provenance.write_given(run, {"batch_size": "8"})
    assert "--batch_size=4 " in batch_size.smaller_batch(run)
    child(ROOM_FOR_3)
    batch_size.resolve(run, ask())
    write_pipeline(run, 3)
    provenance.write_given(run, {"batch_size": "auto"})
    assert "--batch_size=2 " in batch_size.smaller_batch(run)
    write_pipeline(run, 1)
    assert "--image_size" in batch_size.smaller_batch(run)
