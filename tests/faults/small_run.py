"""The smallest real run: a small model on few small images, which saves every few steps."""

import shutil
from pathlib import Path

from processes import Process

from app.run.directory import Run

CHECKPOINT_EVERY_N = 3
MAX_TO_KEEP = 5
"""The product's default."""
SMALL_MODEL = """model { ssd {
  feature_extractor { type: "ssd_mobilenet_v1_fpn_keras" depth_multiplier: 0.25 min_depth: 8
                      fpn { min_level: 4 max_level: 5 additional_layer_depth: 16 } }
  anchor_generator { multiscale_anchor_generator { min_level: 4 max_level: 5 } }
  box_predictor { weight_shared_convolutional_box_predictor { depth: 16 num_layers_before_predictor: 1 } }
} }"""
"""In place of parts of the preset `tiny`: tracing its step takes half the time."""
FLAGS = (
    "--sample_images=12", "--batch_size=1", "--image_size=64", "--augmentations=none",
    f"--config_override={SMALL_MODEL}", f"--checkpoint_every_n={CHECKPOINT_EVERY_N}", "--log_every_n=1",
    "--summary_every_n=5", "--image_summary_every_n=0", "--trial_secs=0", "--eval_image_outputs=1",
    "--detection_outputs=1", "--eval_wait_secs=1",
)  # fmt: skip
BACKLOG = "--checkpoint_backlog_max=1000"
"""For runs that are evaluated: each checkpoint is to be."""


class Place:
    """A folder with a models directory, an empty working directory, and logs of processes; emptied for each run."""

    def __init__(self, root: Path):
        self.root, self.models, self.cwd, self.tmp = root, root / "models", root / "cwd", root / "tmp"
        self.run = Run((root / "models" / "r").resolve())
        self._processes = 0
        root.mkdir(parents=True, exist_ok=True)

    def use_models(self, folder: Path) -> None:
        """Has runs in another folder."""
        self.models = folder / "models"
        self.run = Run(self.models.resolve() / "r")

    def empty(self) -> None:
        """Removes what an earlier run has left."""
        for folder in (self.models, self.cwd, self.tmp, self.root / "output"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)

    def start(self, command: str, *flags: str, forked: bool = True, **extra: str) -> Process:
        """Starts a command on the run."""
        self._processes += 1
        log = self.root / "output" / f"{self._processes:03d}-{command}.log"
        where = [f"--models_dir={self.models}", "--run=r"]
        return Process([command, *where, *flags], log, cwd=self.cwd, forked=forked, TMPDIR=str(self.tmp), **extra)

    def prepare(self, steps: int, *flags: str) -> None:
        """Makes a new run of so many steps."""
        self.empty()
        process = self.start("prepare", *FLAGS, f"--num_train_steps={steps}", *flags)
        if process.wait(120) != 0:
            raise RuntimeError(f"prepare ended with {process.code}: {process.text()}")

    def foreign(self) -> list[str]:
        """What was written where nothing should be: beside the run, or into the working directory."""
        return [str(path) for path in [*self.models.iterdir(), *self.cwd.iterdir()] if path != self.run.root]
