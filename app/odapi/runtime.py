"""TensorFlow made ready for a service: legacy Keras, the devices it may see, seed."""

import importlib
import logging
import os
from typing import Any

from app import log

logger = logging.getLogger(__name__)


def start(*, use_gpu: bool, seed: int | None = None) -> Any:
    """Imports TensorFlow (after `object_detection`, which chooses legacy Keras) and returns it.

    Without `use_gpu` no GPU is visible to this process, whatever the machine has: its driver is never asked.
    """
    if not use_gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    # Where a step has XLA compile, on CPUs as well; read once, when TensorFlow starts.
    os.environ.setdefault("TF_XLA_FLAGS", "--tf_xla_cpu_global_jit")
    with log.native_output_dropped():
        importlib.import_module("object_detection")
        tf = importlib.import_module("tensorflow")
        tf.get_logger().propagate = True
        tf.get_logger().handlers.clear()
        if use_gpu:
            for gpu in tf.config.list_physical_devices("GPU"):
                tf.config.experimental.set_memory_growth(gpu, True)
        else:
            tf.config.set_visible_devices([], "GPU")
    tf.config.set_soft_device_placement(True)
    if seed is not None:
        tf.keras.utils.set_random_seed(seed)
    return tf


def configure(tf: Any, *, deterministic: bool, seed: int) -> None:
    """How everything is computed from here on."""
    if deterministic:
        tf.config.experimental.enable_op_determinism()
        # Upstream's input is made of TensorFlow's legacy functions, whose graphs take no seed from anywhere.
        importlib.import_module("tensorflow.python.framework.function")._FuncGraph.seed = seed


def capabilities(tf: Any) -> list[tuple[int, ...]]:
    """The compute capabilities of the GPUs that TensorFlow sees. Comes before any TensorFlow op, or after."""
    gpus = tf.config.list_physical_devices("GPU")
    found = [tf.config.experimental.get_device_details(gpu).get("compute_capability") for gpu in gpus]
    return [capability for capability in found if capability]


def strategy(tf: Any) -> Any:
    """MirroredStrategy over the visible GPUs if there are several, else the default one of one device."""
    gpus = tf.config.list_logical_devices("GPU")
    chosen = tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.get_strategy()
    logger.info("devices | %s", f"{len(gpus)} GPU" if gpus else f"CPU, {os.cpu_count()} cores")
    return chosen
