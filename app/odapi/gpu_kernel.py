"""Kernels of a training step on each visible GPU, held against the CPU's, in a process of its own.

`python -m app.odapi.gpu_kernel` writes a line of JSON on stdout for each GPU when it is done with it: `gpu`, its name;
then `error`, or `seconds` and `difference`, the largest of a result from the CPU's as a share of the CPU's largest
value. Nothing is written where TensorFlow sees no GPU.
"""

import json
import os
import time
from typing import Any

import numpy as np

TOLERANCE = 0.01
"""GPUs from compute capability 8.0 on multiply with 10 bits of mantissa (TF32), an error of 0.001 each."""


def step(tf: Any, device: str) -> list[np.ndarray]:
    """Loss and gradients of a convolution (cuDNN), a matrix product (cuBLAS) and what is between them (TensorFlow)."""
    random = np.random.default_rng(0)
    shapes = (2, 32, 32, 8), (3, 3, 8, 16), (16 * 16 * 16, 8)
    image, kernel, weights = (random.standard_normal(shape).astype(np.float32) for shape in shapes)
    with tf.device(device), tf.GradientTape() as tape:
        variables = [tf.Variable(kernel), tf.Variable(weights)]
        features = tf.nn.relu(tf.nn.conv2d(tf.constant(image), variables[0], strides=2, padding="SAME"))
        output = tf.matmul(tf.reshape(features, [2, -1]), variables[1])
        loss = tf.reduce_mean(tf.square(output))
        return [result.numpy() for result in (loss, *tape.gradient(loss, variables))]


def difference(results: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """The largest of any result, as a share of the largest value that was expected; NaN if one is no number."""
    return float(np.max([np.abs(a - b).max() / np.abs(b).max() for a, b in zip(results, expected, strict=True)]))


def probe(tf: Any, device: str, expected: list[np.ndarray]) -> dict[str, Any]:
    """What is reported of a device, but for its name."""
    started = time.monotonic()
    try:
        apart = difference(step(tf, device), expected)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    if not apart <= TOLERANCE:  # also true of NaN
        return {"error": f"results differ from the CPU's by {apart:.2g} of the largest"}
    return {"seconds": time.monotonic() - started, "difference": apart}


def main() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    import tensorflow as tf

    tf.config.set_soft_device_placement(False)  # What can't run on the GPU is to fail.
    found = tf.config.list_physical_devices("GPU")
    for gpu in found:
        tf.config.experimental.set_memory_growth(gpu, True)  # It may be training.
    expected = step(tf, "/CPU:0") if found else []
    for number, gpu in enumerate(found):
        name = tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        print(json.dumps({"gpu": name, **probe(tf, f"/GPU:{number}", expected)}), flush=True)


if __name__ == "__main__":
    main()
