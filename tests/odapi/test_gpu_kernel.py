"""The kernels that `doctor` runs on a GPU."""

import numpy as np
import pytest

from app.machine import gpu_probe
from app.odapi import gpu_kernel

pytestmark = pytest.mark.odapi


@pytest.fixture(scope="module")
def expected():
    import tensorflow as tf

    return gpu_kernel.step(tf, "/CPU:0")


def test_results_that_differ_are_an_error(expected):
    """A GPU that computes something else, or nothing, is found; rounding is not."""
    import tensorflow as tf

    assert gpu_kernel.probe(tf, "/CPU:0", expected)["difference"] < 1e-6
    wrong = [*expected[:-1], expected[-1] * 1.02]
    for other in (wrong, [np.full_like(result, np.nan) for result in expected]):
        assert "differ" in gpu_kernel.probe(tf, "/CPU:0", other)["error"]


def test_a_device_that_fails_is_an_error(expected):
    """What TensorFlow raises is reported, not raised."""
    import tensorflow as tf

    placement = tf.config.get_soft_device_placement()
    tf.config.set_soft_device_placement(False)
    try:
        assert "GPU:7" in gpu_kernel.probe(tf, "/GPU:7", expected)["error"]
    finally:
        tf.config.set_soft_device_placement(placement)


@pytest.mark.slow
def test_the_process_runs(monkeypatch):
    """TensorFlow without a visible GPU has nothing to tell."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert gpu_probe.probe_gpus() == []
