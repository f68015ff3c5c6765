"""Trains a prepared run in this process and writes what it took, as JSON.

    python timed_training.py ours RESULT STARTED STEPS FLAG...          `detbox train FLAG...`
    python timed_training.py stock RESULT STARTED STEPS RUN TREE SEED   `model_main_tf2` of the OD API in TREE

STARTED is when the process was, in Unix seconds.
"""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from step_clock import StepClock

clocks: list[StepClock] = []


def train_ours(steps: int, flags: list[str]) -> tuple[Path, Any]:
    """Where the event files are, and TensorFlow."""
    from app.odapi import runtime
    from entrypoint.__main__ import run

    start = runtime.start

    def start_and_time(**given: Any) -> Any:
        tf = start(**given)
        clocks.append(StepClock(tf, steps))
        return tf

    runtime.start = start_and_time
    if code := run(["train", *flags]):
        raise SystemExit(code)
    import tensorflow as tf

    given = dict(flag.removeprefix("--").split("=", 1) for flag in flags)
    return Path(given["models_dir"]) / given["run"] / "train", tf


def train_stock(steps: int, run: str, tree: str, seed: str) -> tuple[Path, Any]:
    """As its `main` does."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    sys.path.insert(0, tree)
    import tensorflow as tf
    from object_detection import model_lib_v2

    assert model_lib_v2.__file__.startswith(tree), model_lib_v2.__file__
    tf.keras.utils.set_random_seed(int(seed))
    tf.config.set_soft_device_placement(True)
    strategy = tf.compat.v2.distribute.MirroredStrategy()
    clocks.append(StepClock(tf, steps))
    folder = Path(run) / "stock"
    with strategy.scope():
        model_lib_v2.train_loop(
            pipeline_config_path=str(Path(run) / "pipeline.config"),
            model_dir=str(folder),
            train_steps=steps,
            checkpoint_every_n=1000,
            record_summaries=True,
        )
    return folder / "train", tf


def main(who: str, result: str, started: str, steps: str, *rest: str) -> None:
    events, tf = train_ours(int(steps), list(rest)) if who == "ours" else train_stock(int(steps), *rest)
    rows = clocks[0].rows[: int(steps)]
    gpus = tf.config.list_logical_devices("GPU")
    figures = {
        "started": float(started),
        "rows": rows.tolist(),
        "cpu": [clocks[0].cpu_at(row[0]) for row in rows],
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "gpu_memory": tf.config.experimental.get_memory_info("GPU:0")["peak"] if gpus else 0,
        "events": str(events),
    }
    Path(result).write_text(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
