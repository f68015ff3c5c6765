"""A compose project of the tests: the real files on the real engine, with a folder and a volume of its own."""

import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[2]
CPU = ("compose.yaml", "compose.cpu.yaml")
IMAGE = "detbox-test:cpu"
LOCAL_BASE = "local/base:bookworm"
SHORT = {
    "DETBOX_SAMPLE_IMAGES": "24",
    "DETBOX_BATCH_SIZE": "4",
    "DETBOX_NUM_TRAIN_STEPS": "40",
    "DETBOX_CHECKPOINT_EVERY_N": "20",
    "DETBOX_LOG_EVERY_N": "1",
    "DETBOX_SUMMARY_EVERY_N": "5",
    "DETBOX_EVAL_IMAGE_OUTPUTS": "1",
    "DETBOX_IMAGE_SUMMARY_EVERY_N": "0",
    "DETBOX_EXPORT_WHEN_DONE": "true",
}
"""A run that takes a minute on two cores."""
OURS = (
    "DETBOX_",
    "COMPOSE_",
    "CUDA_",
    "MODELS_VOLUME",
    "TRAINER_",
    "EVALUATOR_",
    "PREPARE_",
    "TENSORBOARD_",
    "RESULTS_",
)
PROBE = """
import json, os, pathlib
root = pathlib.Path("/models")
files = {str(p.relative_to(root)): [p.stat().st_uid, p.stat().st_gid] for p in root.rglob("*")}
text = {n: (root / n).read_text() for n in files if n.endswith((".json", ".jsonl", "DONE")) and (root / n).is_file()}
print(json.dumps({"files": files, "text": text}))
"""


def docker(*argv: str, timeout: float = 120, **options) -> subprocess.CompletedProcess:
    """Runs docker; its output is kept as text."""
    return subprocess.run(["docker", *argv], capture_output=True, text=True, timeout=timeout, **options)


def wait_for(condition, seconds: float, what: str):
    """The first true value of `condition()`; fails with `what` if there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


class Project:
    """A compose project: a copy of what a clone has, with a volume, a `.env` and a shell of its own."""

    def __init__(self, folder: Path, *, files=CPU, **shell: str):
        self.folder, self.files = folder, files
        self.name = f"detbox-test-{uuid.uuid4().hex[:8]}"
        kept = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
        port = {"DETBOX_TENSORBOARD_PORT": str(free_port())}
        self.shell = {**kept, **base(), **port, "DETBOX_IMAGE": IMAGE, **shell}
        copy_clone(folder)

    def argv(self, *words: str) -> list[str]:
        files = [word for name in self.files for word in ("-f", name)]
        return ["docker", "compose", "--ansi=never", "--progress=plain", "-p", self.name, *files, *words]

    def run(self, *words: str, timeout: float = 300) -> subprocess.CompletedProcess:
        """Runs a compose command to its end."""
        return subprocess.run(
            self.argv(*words), cwd=self.folder, env=self.shell, capture_output=True, text=True, timeout=timeout
        )

    def ok(self, *words: str, timeout: float = 300) -> str:
        """The stdout of a compose command that must succeed."""
        done = self.run(*words, timeout=timeout)
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def down(self) -> None:
        """Takes everything of it away: what still runs takes time from the tests after it."""
        self.run("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "1")

    def inspect(self, service: str) -> dict:
        """What the engine says of a service's container, running or not."""
        number = self.ok("ps", "--all", "--quiet", service).split()
        return json.loads(docker("inspect", number[0]).stdout)[0] if number else {}

    def volume(self) -> "Volume":
        """What the volume holds now."""
        mount = ["--volume", f"{self.name}_models:/models:ro", "--entrypoint", "python3"]
        done = docker("run", "--rm", "--user=0", *mount, IMAGE, "-c", PROBE)
        return Volume(**json.loads(done.stdout)) if done.returncode == 0 else Volume({}, {})

    def logs(self, service: str) -> str:
        return self.ok("logs", "--no-log-prefix", service)


class Volume:
    """The files of a volume of runs: owner of each, text of the small ones."""

    def __init__(self, files: dict[str, list[int]], text: dict[str, str]):
        self.files, self.text = files, text

    def json(self, name: str):
        return json.loads(self.text[name]) if name in self.text else None

    def lines(self, name: str) -> list[dict]:
        return [json.loads(line) for line in self.text.get(name, "").splitlines() if line.endswith("}")]

    def steps(self, run: str = "sample") -> list[int]:
        """The steps that metrics.jsonl has, in its order."""
        return [row["step"] for row in self.lines(f"{run}/metrics.jsonl")]


def free_port() -> int:
    """A port of this machine that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def base() -> dict[str, str]:
    """What to build on: what the environment names, else a local stand-in if there is one, else the default."""
    if "BASE_IMAGE" in os.environ or docker("image", "inspect", LOCAL_BASE).returncode != 0:
        return {}
    return {"BASE_IMAGE": LOCAL_BASE, "BUILD_NETWORK": "host"}


def copy_clone(folder: Path) -> None:
    """Copies what the build and compose read, so that a `.env` beside the checkout has no say."""
    ignore = shutil.ignore_patterns("__pycache__", ".tree", "*.egg-info")
    for name in ("app", "entrypoint", "third_party"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    (folder / "scripts").mkdir()
    for name in ("scripts/uv.txt", "scripts/compile-packages", "scripts/describe-image"):
        shutil.copy2(ROOT / name, folder / name)
    for name in ("Dockerfile", ".dockerignore", *CPU, "pyproject.toml", "uv.lock", "README.md"):
        shutil.copy2(ROOT / name, folder / name)
