"""The run directory: names, atomic writing and tolerant reading of every file that services share.

Nothing else in detbox spells these names. A file that another process reads is written to a temporary
name in the same directory and renamed; a reader gets `None` or an empty list where a file is not there yet.
"""

import fcntl
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import SettingsError

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RESERVED = {"serving", "zoo"}
LEFT_FOR_SECONDS = 60.0
"""Age from which a staging folder that no process holds is a killed one's."""


@dataclass(frozen=True)
class Run:
    """The paths of one run. Building one touches nothing on disk."""

    root: Path

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def pipeline_config(self) -> Path:
        return self.root / "pipeline.config"

    @property
    def pipeline_diff(self) -> Path:
        return self.root / "pipeline.diff"

    @property
    def label_map(self) -> Path:
        return self.root / "label_map.pbtxt"

    @property
    def provenance(self) -> Path:
        return self.root / "run.json"

    def sample(self, pictures: int, seed: int) -> Path:
        """The built-in data set, where a run has no other."""
        return self.root / f"sample-{pictures}-{seed}"

    @property
    def records(self) -> Path:
        return self.root / "records"

    @property
    def dataset_card(self) -> Path:
        return self.records / "dataset.json"

    @property
    def train_events(self) -> Path:
        return self.root / "train"

    @property
    def eval_events(self) -> Path:
        return self.root / "eval"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def evaluations(self) -> Path:
        return self.root / "evaluations.jsonl"

    @property
    def detections(self) -> Path:
        return self.root / "detections"

    @property
    def detections_index(self) -> Path:
        return self.detections / "index.json"

    @property
    def detected(self) -> Path:
        """What `detect` wrote."""
        return self.root / "detected"

    def promoted(self, name: str, version: int) -> Path:
        """The checkpoint that was promoted as that version of the model `name`."""
        return self.root / "promoted" / name / str(version)

    @property
    def claimed(self) -> Path:
        """The evaluator's own links to the checkpoint that it is at."""
        return self.root / ".evaluating"

    @property
    def best(self) -> Path:
        return self.root / "best"

    @property
    def best_card(self) -> Path:
        return self.best / "best.json"

    @property
    def status_dir(self) -> Path:
        return self.root / "status"

    def status(self, service: str) -> Path:
        """`service` is `trainer` or `evaluator`."""
        return self.status_dir / f"{service}.json"

    @property
    def done(self) -> Path:
        return self.root / "DONE"

    @property
    def stop_request(self) -> Path:
        return self.status_dir / "stop.json"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def inspection(self) -> Path:
        return self.root / "inspect"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def log(self, service: str) -> Path:
        return self.logs / f"{service}.log"

    def checkpoint(self, step: int) -> Path:
        """The prefix of the checkpoint of `step`: files `ckpt-<step>.index` and `ckpt-<step>.data-*`."""
        return self.root / f"ckpt-{step}"

    def checkpoint_steps(self) -> list[int]:
        """Steps whose checkpoint has an index file, ascending. It is written last, so these are whole."""
        steps = []
        for index in self.root.glob("ckpt-*.index"):
            number = index.name[len("ckpt-") : -len(".index")]
            if number.isdigit():
                steps.append(int(number))
        return sorted(steps)


def is_run_name(name: str) -> bool:
    """Whether a run may be called `name`."""
    return bool(RUN_NAME.fullmatch(name)) and name not in RESERVED


def find(models_dir: Path, name: str) -> Run:
    """The run `name` under `models_dir`, whether it exists or not.

    Raises SettingsError if the name could leave `models_dir` or is taken by detbox itself.
    """
    if not is_run_name(name):
        raise SettingsError(
            f"{name!r} is no name for a run",
            remedy="letters, digits, '.', '_' and '-', not 'serving' or 'zoo': --run / DETBOX_RUN",
        )
    return Run(models_dir / name)


def serving(models_dir: Path, name: str) -> Path:
    """TensorFlow Serving's folder of versions for the model `name`."""
    return models_dir / "serving" / name


def comparison(models_dir: Path) -> Path:
    """The page that compares several runs."""
    return models_dir / "comparison.html"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name if the block ends well and goes away if not.

    Works for a file and for a folder; a folder replaces only a missing or an existing folder. What a process that was
    killed has left here goes away too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(path)
    staging = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    target = staging / path.name
    try:
        with _held(staging):
            yield target
            if target.is_dir() and path.is_dir():
                path.rename(staging / "old")
            os.replace(target, path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Whether the lock of the folder is ours while the block runs; the kernel takes it from a process that ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except OSError:  # Another's; or a file system without locks.
        free = False
    try:
        yield free
    finally:
        os.close(handle)


def _clear_leftovers(path: Path) -> None:
    for folder in path.parent.iterdir():
        if folder.name.startswith(f".{path.name}.") and folder.is_dir() and not folder.is_symlink():
            with suppress(OSError):  # Another process clears it too.
                # Young ones may be a moment from being locked.
                if time.time() - folder.stat().st_mtime > LEFT_FOR_SECONDS:
                    with _held(folder) as free:
                        if free:
                            shutil.rmtree(folder, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path` atomically, as UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_json(path: Path, value: Any) -> None:
    """Writes `value` to `path` atomically, as indented JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def read_json(path: Path) -> Any | None:
    """What `path` holds, or None if it is not there (or, half-copied by another tool, does not parse)."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None


def append_line(path: Path, value: dict[str, Any]) -> None:
    """Appends one JSON line in one write, after mending a last line that a killed writer left unfinished."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(value, ensure_ascii=False, default=str) + "\n"
    with open(path, "a+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                line = "\n" + line
        file.write(line.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path, *, tail_bytes: int | None = None) -> list[dict[str, Any]]:
    """The JSON objects of a `.jsonl` file in order; lines that do not parse (cut short) are passed over.

    `tail_bytes`: only what the last so many bytes hold, which costs the same however long the file is.
    """
    try:
        with open(path, "rb") as file:
            if tail_bytes is not None:
                file.seek(max(file.seek(0, os.SEEK_END) - tail_bytes, 0))
            text = file.read().decode("utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return []
    rows = []
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def beat(
    run: Run,
    service: str,
    *,
    state: str,
    step: int,
    of: int,
    reason: str = "",
    clock: Callable[[], float] = time.time,
) -> None:
    """Writes the heartbeat of `service`: what it does (`state`), how far it is, since when, and why it waits.

    States: starting, training, saving, evaluating, waiting, stopped, failed, done. `time` is Unix seconds.
    """
    now = clock()
    previous = read_json(run.status(service)) or {}
    same = previous.get("state") == state and previous.get("reason") == reason
    advanced = previous.get("step") != step
    write_json(
        run.status(service),
        {
            "service": service,
            "state": state,
            "step": step,
            "of": of,
            "reason": reason,
            "time": now,
            "since": previous.get("since", now) if same else now,
            "advanced": now if advanced else previous.get("advanced", now),
            "pid": os.getpid(),
        },
    )


FAILED_FOR_GOOD_SECONDS = 300.0
"""A trainer that failed and was not restarted for so long does not come back."""


def has_failed_for_good(run: Run, now: float) -> bool:
    """Whether the trainer ended with an error and nobody has started it again."""
    trainer = read_json(run.status("trainer")) or {}
    return trainer.get("state") == "failed" and now - trainer.get("time", now) > FAILED_FOR_GOOD_SECONDS


def first_line(error: BaseException) -> str:
    """The first line of an error's words, 300 characters at most: what a heartbeat has room for."""
    return (str(error).splitlines() or [""])[0][:300]


_EVALUATION = re.compile(r'(\{.*?), "details": .*, "time": ([0-9.]+)\}')
"""A line as the evaluator writes it, which nothing that was cut short matches: only a whole one has its time."""


def read_evaluations(run: Run) -> list[dict[str, Any]]:
    """The lines of `evaluations.jsonl` without their `details`, which are most of every line.

    Services read the file every few seconds; this way it costs little with many classes too.
    """
    try:
        text = run.evaluations.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return []
    rows = []
    for line in text.splitlines():
        whole = _EVALUATION.fullmatch(line)
        try:
            row = json.loads(f'{whole[1]}, "time": {whole[2]}}}' if whole else line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict) and "step" in row:
            row.pop("details", None)
            rows.append(row)
    return rows


def evaluated_steps(run: Run) -> set[int]:
    """The steps whose checkpoint has been evaluated."""
    return {int(row["step"]) for row in read_evaluations(run)}
