"""Trains a prepared run in this process and writes what it took, as JSON.

    python timed_training.py ours RESULT STEPS FLAG...          `detbox train FLAG...`
    python timed_training.py stock RESULT STEPS RUN TREE SEED   `model_main_tf2` of the OD API in TREE

Once it is warm there is a file of RESULT's name that ends in .warm.
"""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from step_clock import StepClock
from training_figures import warm_up

clocks: list[StepClock] = []


def start_clock(tf: Any, result: Path, steps: int) -> None:
    clocks.append(StepClock(tf, steps, result.with_suffix(".warm"), warm_up(steps)))


def train_ours(result: Path, steps: int, flags: list[str]) -> tuple[Path, Any]:
    """Where the event files are, and TensorFlow."""
    from app.odapi import runtime
    from entrypoint.__main__ import run

    start = runtime.start

    def start_and_time(**given: Any) -> Any:
        tf = start(**given)
        start_clock(tf, result, steps)
        return tf

    runtime.start = start_and_time
    if code := run(["train", *flags]):
        raise SystemExit(code)
    import tensorflow as tf

    given = dict(flag.removeprefix("--").split("=", 1) for flag in flags)
    return Path(given["models_dir"]) / given["run"] / "train", tf


def train_stock(result: Path, steps: int, run: str, tree: str, seed: str) -> tuple[Path, Any]:
    """As its `main` does."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    sys.path.insert(0, tree)
    import tensorflow as tf
    from object_detection import model_lib_v2

    assert model_lib_v2.__file__.startswith(tree), model_lib_v2.__file__
    tf.keras.utils.set_random_seed(int(seed))
    tf.config.set_soft_device_placement(True)
    strategy = tf.compat.v2.distribute.MirroredStrategy()
    start_clock(tf, result, steps)
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


def main(who: str, result: str, steps: str, *rest: str) -> None:
    path = Path(result)
    events, tf = train_ours(path, int(steps), list(rest)) if who == "ours" else train_stock(path, int(steps), *rest)
    rows = clocks[0].rows[: int(steps)]
    gpus = tf.config.list_logical_devices("GPU")
    figures = {
        "rows": rows.tolist(),
        "cpu": [clocks[0].cpu_at(row[0]) for row in rows],
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "gpu_memory": tf.config.experimental.get_memory_info("GPU:0")["peak"] if gpus else 0,
        "events": str(events),
    }
    path.write_text(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
