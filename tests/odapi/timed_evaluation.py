"""Evaluates every checkpoint of a run and prints, as JSON, {step: [seconds, CPU seconds, metrics]}.

python timed_evaluation.py RUN [TREE]: by upstream's own loop from the OD API in TREE, or without one by detbox's.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ |= {"TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "1"}


def by_upstream(root: Path, tree: str):
    """What `eval_continuously` does with each checkpoint, for all of them instead of the newest."""
    sys.path.insert(0, tree)
    import tensorflow as tf
    from object_detection import inputs, model_lib_v2
    from object_detection.utils import config_util

    assert model_lib_v2.__file__.startswith(tree), model_lib_v2.__file__
    configs = config_util.get_configs_from_pipeline_file(str(root / "pipeline.config"))
    configs = config_util.merge_external_params_with_configs(configs, None, kwargs_dict={"eval_num_epochs": 1})
    model = model_lib_v2.MODEL_BUILD_UTIL_MAP["detection_model_fn_base"](
        model_config=configs["model"], is_training=True
    )
    images = inputs.eval_input(configs["eval_config"], configs["eval_input_configs"][0], configs["model"], model)
    step = tf.Variable(0, trainable=False, dtype=tf.int64)
    writer = tf.summary.create_file_writer(str(root / "eval"))

    def evaluate(prefix: str) -> dict:
        tf.train.Checkpoint(step=step, model=model).restore(prefix).expect_partial()
        with writer.as_default():
            return model_lib_v2.eager_eval_loop(model, configs, images, global_step=step)

    return evaluate


def by_detbox(root: Path):
    """The evaluator service on each checkpoint: figures, images, events, `best/` and line."""
    from app.jobs.evaluate import EvaluatorService
    from app.odapi import runtime
    from app.run.directory import Run
    from app.run.evaluations import read_evaluations
    from app.settings import Settings

    runtime.start(use_gpu=False)
    run = Run(root)
    service = EvaluatorService(run, Settings())

    def evaluate(prefix: str) -> dict:
        service.evaluate(Path(prefix))
        return read_evaluations(run)[-1]["metrics"]

    return evaluate


def main(root: Path, tree: str = "") -> None:
    evaluate = by_upstream(root, tree) if tree else by_detbox(root)
    found = {}
    for number in sorted(int(path.stem.rpartition("-")[2]) for path in root.glob("ckpt-*.index")):
        started, cpu = time.monotonic(), time.process_time()
        metrics = evaluate(str(root / f"ckpt-{number}"))
        spent = time.monotonic() - started, time.process_time() - cpu
        found[number] = [*spent, {str(name): float(value) for name, value in metrics.items()}]
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), *sys.argv[2:])
