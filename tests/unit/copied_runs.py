"""Runs to copy, places to copy them to, and what a restored run must be."""

import random
import shutil
from pathlib import Path

from app.run.directory import Run
from app.run.files import append_line, read_lines, write_json
from app.run_copy.restore import restore
from app.run_copy.store import CopyStore
from app.run_copy.upload import Uploader

DATA_BYTES = 3_000_000


def content(step: int, size: int = DATA_BYTES) -> bytes:
    """What the data of a checkpoint of `step` hold: no two parts are the same."""
    return random.Random(step).randbytes(size)


def save(run: Run, step: int, size: int = DATA_BYTES, keep: int = 3) -> None:
    """Writes a checkpoint as the trainer does, index last, with a line of metrics; deletes the oldest, index first."""
    prefix = run.checkpoint(step)
    append_line(run.metrics, {"step": step, "loss": 1.0})
    for path, data in ((prefix.with_name(f"{prefix.name}.data-00000-of-00001"), content(step, size)),
                       (prefix.with_name(f"{prefix.name}.index"), f"index {step}".encode())):  # fmt: skip
        hidden = path.with_name(f".{path.name}")
        hidden.write_bytes(data)
        hidden.rename(path)
    (run.root / "checkpoint").write_text(f'model_checkpoint_path: "{prefix.name}"\n')
    for old in run.checkpoint_steps()[:-keep]:
        run.checkpoint(old).with_name(f"ckpt-{old}.index").unlink()
        run.checkpoint(old).with_name(f"ckpt-{old}.data-00000-of-00001").unlink()


def write_run(models_dir: Path, step: int = 7, size: int = DATA_BYTES) -> Run:
    """A run with a checkpoint, records, events, the best checkpoint, and what is not copied."""
    run = Run(models_dir / "wheels")
    run.records.mkdir(parents=True)
    (run.records / "train-00000").write_bytes(b"record" * 1000)
    write_json(run.dataset_card, {"classes": ["cat"]})
    run.pipeline_config.write_text("model {}")
    write_json(run.provenance, {"given": {}})
    save(run, step, size)
    run.train_events.mkdir()
    (run.train_events / "events.out.tfevents.1.v2").write_bytes(b"event")
    write_json(run.evaluation_details(step), {})
    append_line(run.evaluations, {"step": step, "metrics": {}})
    run.best.mkdir()
    write_json(run.best_card, {"step": step, "checkpoint": f"ckpt-{step}"})
    write_json(run.status("trainer"), {"state": "training", "time": 1.0})
    for name in ("status/trainer.lock", "status/up.json", ".ckpt-9.index.abcdefgh", "sample-4-0/a.jpg", "broken/x"):
        (run.root / name).parent.mkdir(exist_ok=True)
        (run.root / name).write_text("not copied")
    return run


def upload(run: Run, url: str) -> Uploader:
    """Copies the run once."""
    uploader = Uploader(run, CopyStore(url, run.name))
    uploader.begin()
    uploader.copy()
    return uploader


def files(run: Run) -> dict[str, bytes]:
    """The files of a run that are copied, with what they hold."""
    left_out = (".lock", "up.json", "sync.json")
    paths = [path for path in run.root.rglob("*") if path.is_file() and not path.name.endswith(left_out)]
    names = {str(path.relative_to(run.root)): path for path in paths}
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith((".", "sample", "broken"))}


def wipe(run: Run) -> None:
    """A new machine: nothing of the run is left."""
    shutil.rmtree(run.root)


def restored(run: Run, url: str):
    """Restores the run."""
    return restore(run, CopyStore(url, run.name))


def check_whole(run: Run) -> int:
    """Holds that the run could go on: whole checkpoints, none evaluated that is not there, none without its metrics."""
    steps = run.checkpoint_steps()
    for step in steps:
        assert run.checkpoint(step).with_name(f"ckpt-{step}.data-00000-of-00001").read_bytes() == content(step)
        assert run.checkpoint(step).with_name(f"ckpt-{step}.index").read_text() == f"index {step}"
    newest = max(steps, default=0)
    assert max([row["step"] for row in read_lines(run.metrics)], default=0) >= newest
    assert max([row["step"] for row in read_lines(run.evaluations)], default=0) <= newest
    return newest
