"""What a TF1 pipeline.config says about training, reading and evaluation."""

from typing import Any

from app.pipeline.migration.change import Change, drop, replace, text_of
from app.protos.pipeline_config import PipelineConfig

QUEUES = "TF1's queues are gone; tf.data has no such setting"
REPLICAS = "TF2 trains synchronously on every GPU that it sees (MirroredStrategy)"
EVALUATION = "every checkpoint is evaluated on the whole set: sample_1_of_n_eval_examples takes a part"
TRAIN = {
    "sync_replicas": REPLICAS,
    "replicas_to_aggregate": REPLICAS,
    "startup_delay_steps": REPLICAS,
    "keep_checkpoint_every_n_hours": "checkpoints are kept by number: checkpoint_max_to_keep",
    "batch_queue_capacity": QUEUES,
    "num_batch_queue_threads": QUEUES,
    "prefetch_queue_capacity": QUEUES,
    "load_all_detection_checkpoint_vars": "TF2 restores by fine_tune_checkpoint_type alone",
    "bias_grad_multiplier": "TF2's loop does not read it",
    "summarize_gradients": "TF2's loop does not read it",
}
"""Fields of train_config that TF2's loop (model_lib_v2.py) does not read, or must not."""

FREEZING = ("freeze_variables", "update_trainable_variables")
READER = {
    "queue_capacity": QUEUES,
    "min_after_dequeue": "TF1's queues are gone; shuffle_buffer_size is what shuffles",
    "prefetch_size": QUEUES,
    "external_input_reader": "detbox reads records: prepare makes them of any data set",
}
EVAL = {
    "num_examples": EVALUATION,
    "max_evals": "evaluation ends when training has ended",
    "eval_interval_secs": "each checkpoint is evaluated when it appears",
    "save_graph": "TF2 has no graph to save; export makes one",
    "visualization_export_dir": "images go to TensorBoard and into detections/",
    "eval_master": "TF1's sessions are gone",
    "export_path": "metrics go to TensorBoard and into evaluations.jsonl",
    "ignore_groundtruth": "TF2's loop does not read it",
    "eval_instance_masks": "metrics_set chooses what is evaluated",
}
METRICS = {
    "pascal_voc_metrics": "pascal_voc_detection_metrics",
    "weighted_pascal_voc_metrics": "weighted_pascal_voc_detection_metrics",
    "open_images_metrics": "oid_V2_detection_metrics",
    "open_images_detection_metrics": "oid_V2_detection_metrics",
    "open_images_V2_detection_metrics": "oid_V2_detection_metrics",
}
"""Names of metrics sets that upstream's eval_util.py has under another today."""


def edit(config: PipelineConfig) -> tuple[list[Change], list[str]]:
    """Rewrites everything but the model. Returns the changes, and what is left to the user."""
    train, left = config.train_config, []
    changes = _edit_optimizer(train.optimizer, averaged=config.eval_config.use_moving_averages)
    for name, why in TRAIN.items():
        changes += drop(train, "train_config", name, why)
    for name in FREEZING:
        if getattr(train, name):
            left.append(
                f"{name} ({text_of(getattr(train, name))}) has no counterpart: all layers train, except batch norm "
                "where freeze_batchnorm (SSD) or batch_norm_trainable: false (Faster R-CNN) freezes it."
            )
        changes += drop(train, "train_config", name, "TF2's loop trains every variable")
    if config.HasField("graph_rewriter"):
        changes += drop(
            config, "", "graph_rewriter",
            "the OD API has no quantization-aware training on TF2; export_forms=tflite_int8 quantizes after training",
        )  # fmt: skip
    changes += _edit_readers(config)
    changes += _edit_eval(config.eval_config)
    if not train.num_steps:
        left.append("The config has no num_steps; TF1 then trained without end. Give --num_train_steps.")
    return [_named(change) for change in changes], left


def _named(change: Change) -> Change:
    return Change(change.what.lstrip("."), change.before, change.after, change.why)


def _edit_optimizer(optimizer: Any, *, averaged: bool) -> list[Change]:
    path, kind = "train_config.optimizer", optimizer.WhichOneof("optimizer")
    changes = []
    if kind == "rms_prop_optimizer":
        rms, why = optimizer.rms_prop_optimizer, ""
        if round(rms.decay, 6) != 0.9:
            why = " (which is 0.9 in Keras, and can't be set)"
        changes += replace(
            rms, f"{path}.rms_prop_optimizer", "decay", 0.0,
            "TF1's decay of the mean square is handed by TF2's builder to Keras as the decay of the learning rate, "
            f"which would fall to a tenth within ten steps; 0 leaves the mean square's to Keras{why}",
        )  # fmt: skip
    if kind:
        changes += _edit_steps(getattr(optimizer, kind).learning_rate, f"{path}.{kind}.learning_rate")
    if averaged:
        return changes
    return changes + replace(
        optimizer, path, "use_moving_average", False,
        "TF1 did not evaluate averaged weights unless eval_config.use_moving_averages said so; detbox would",
    )  # fmt: skip


def _edit_steps(rate: Any, path: str) -> list[Change]:
    """Takes a schedule's entry for step 0, which TF2 refuses, as the initial rate."""
    if rate.WhichOneof("learning_rate") != "manual_step_learning_rate":
        return []
    body = rate.manual_step_learning_rate
    if not body.schedule or body.schedule[0].step:
        return []
    first = body.schedule[0]
    change = Change(
        f"{path}.manual_step_learning_rate.schedule", text_of(first), "", "TF2 wants steps above 0: it is the initial"
    )
    body.initial_learning_rate = first.learning_rate
    del body.schedule[0]
    return [change]


def _edit_readers(config: PipelineConfig) -> list[Change]:
    changes = []
    for path, reader in (
        ("train_input_reader", config.train_input_reader),
        *(("eval_input_reader", reader) for reader in config.eval_input_reader),
    ):
        for name, why in READER.items():
            changes += drop(reader, path, name, why)
    return changes


def _edit_eval(evaluation: Any) -> list[Change]:
    changes, masks = [], evaluation.eval_instance_masks
    for name, why in EVAL.items():
        changes += drop(evaluation, "eval_config", name, why)
    before = list(evaluation.metrics_set)
    after = [METRICS.get(name, name) for name in before]
    if masks and "coco_mask_metrics" not in after:
        after.append("coco_mask_metrics")
    if after != before:
        del evaluation.metrics_set[:]
        evaluation.metrics_set.extend(dict.fromkeys(after))
        why = "upstream renamed it" if len(after) == len(before) else "in place of eval_instance_masks"
        changes.append(Change("eval_config.metrics_set", text_of(before), text_of(evaluation.metrics_set), why))
    return changes
