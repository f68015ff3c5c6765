"""Several workers on this machine: the losses of one, and what becomes of them when one is killed."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import equal_images
import pytest
from command import ROOT, copy_of, detbox, environment, place

from app.errors import WorkerLostError
from app.odapi.workers import HEARTBEAT_SECONDS
from app.run.directory import Run
from app.run.files import read_json
from app.run.metrics import read_metrics

pytestmark = pytest.mark.odapi
STEPS = 6
TOLERANCE = 1e-4
SECONDS = 900
"""For what takes seconds on a machine with nothing else to do."""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """A run on a data set that workers divide evenly, prepared."""
    folder = tmp_path_factory.mktemp("workers")
    images = equal_images.write(folder / "images")
    flags = [f"--dataset={images}", f"--models_dir={folder}", "--run=equal", f"--num_train_steps={STEPS}"]
    result = detbox("prepare", *flags, *equal_images.FLAGS, "--workers=2")
    assert result.returncode == 0, result.stderr
    return Run(folder / "equal")


@pytest.fixture(scope="module")
def alone(run, tmp_path_factory) -> list[float]:
    """The losses of one worker."""
    copy = copy_of(run, tmp_path_factory.mktemp("alone") / "equal")
    result = detbox("train", *place(copy), CUDA_VISIBLE_DEVICES="-1")
    assert result.returncode == 0, result.stderr
    return losses(copy)


def losses(run: Run) -> list[float]:
    return [row["loss"] for row in read_metrics(run)]


def start_workers(run: Run, *flags: str, only: int | None = None) -> list[subprocess.Popen]:
    """`train` as two workers, or as one of them; what each says is in the file `worker-N` beside the run."""
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    workers = [f"127.0.0.1:{port}" for port in ports]
    started = []
    for index in range(2) if only is None else [only]:
        task = json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
        with open(said_by(run, index), "ab") as said:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "entrypoint", "train", *place(run), *flags],
                    cwd=ROOT,
                    env=environment(TF_CONFIG=task, CUDA_VISIBLE_DEVICES="-1"),
                    stdout=said,
                    stderr=said,
                )
            )
    return started


def said_by(run: Run, index: int) -> Path:
    return run.root.parent / f"worker-{index}"


def codes(run: Run, workers: list[subprocess.Popen]) -> list[int]:
    try:
        return [worker.wait(timeout=SECONDS) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def test_two_workers_have_the_losses_of_one_and_survive_a_killed_one(run, alone, tmp_path):
    """The same losses at the same global batch; one that is killed ends the other with a reason; both then go on."""
    copy = copy_of(run, tmp_path / "equal")
    assert codes(copy, start_workers(copy)) == [0, 0], said_by(copy, 0).read_text() + said_by(copy, 1).read_text()
    together = losses(copy)
    assert len(together) == len(alone) == STEPS
    assert together == pytest.approx(alone, abs=TOLERANCE, rel=TOLERANCE)
    only_the_chief_has_written(copy)

    workers = start_workers(copy, "--num_train_steps=2000", "--checkpoint_every_n=1000")
    wait_for(lambda: len(losses(copy)) > STEPS + 2, workers)
    workers[1].kill()
    killed_at = time.monotonic()
    assert codes(copy, workers) == [WorkerLostError.exit_code, -signal.SIGKILL]
    assert time.monotonic() - killed_at < 3 * HEARTBEAT_SECONDS
    line = said_by(copy, 0).read_text().splitlines()[-1]
    assert "worker 1" in line and "last checkpoint" in line
    assert read_json(copy.status("trainer"))["state"] == "failed"

    end = STEPS + 2
    assert codes(copy, start_workers(copy, f"--num_train_steps={end}")) == [0, 0], said_by(copy, 1).read_text()
    assert f"resumed from {copy.checkpoint(STEPS)}" in said_by(copy, 0).read_text()
    assert copy.checkpoint_steps()[-1] == read_json(copy.done)["step"] == end


def test_a_signal_to_one_worker_stops_both_at_the_same_step(run, tmp_path):
    """Whichever got it, both end with its code, and the chief has saved the step."""
    copy = copy_of(run, tmp_path / "equal")
    workers = start_workers(copy, "--num_train_steps=2000")
    wait_for(lambda: len(losses(copy)) > 2, workers)
    workers[1].send_signal(signal.SIGTERM)
    assert codes(copy, workers) == [128 + signal.SIGTERM] * 2, said_by(copy, 1).read_text()
    assert copy.checkpoint_steps()[-1] == read_metrics(copy)[-1]["step"]


def only_the_chief_has_written(run: Run) -> None:
    assert sorted(path.name for path in run.logs.iterdir()) == ["trainer-1.log", "trainer.log"]
    assert len(list(run.train_events.iterdir())) == 1
    assert not [path for path in run.root.rglob("*") if path.name.startswith((".saving", "temp_worker"))]


def wait_for(is_so, workers) -> None:
    until = time.monotonic() + SECONDS
    while not is_so() and time.monotonic() < until and not any(worker.poll() for worker in workers):
        time.sleep(0.2)
    assert is_so()


def test_two_devices_have_the_losses_of_one(run, alone, tmp_path):
    """MirroredStrategy over two virtual CPU devices, at the same global batch."""
    copy = copy_of(run, tmp_path / "equal")
    script = Path(__file__).with_name("mirrored_losses.py")
    command = [sys.executable, script, copy.root.parent, copy.name, "2", str(STEPS)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == pytest.approx(alone, abs=TOLERANCE, rel=TOLERANCE)


def test_more_workers_than_record_files_are_refused(run):
    """A worker without a file would have nothing to learn from: known before anything is trained."""
    flags = [f"--dataset={run.root.parent / 'images'}", f"--models_dir={run.root.parent}", "--run=few"]
    result = detbox("prepare", *flags, *equal_images.FLAGS, "--workers=3")
    assert result.returncode == 3 and "--num_shards" in result.stderr
