"""The table of GPUs is that of the TensorFlow that is installed."""

import importlib.metadata

import pytest

from app.machine import gpus

pytestmark = pytest.mark.odapi


def test_the_table_of_gpus_is_the_wheels_own():
    """Compute capabilities and CUDA's version, as the build wrote them down; tensorflow-cpu has none."""
    import tensorflow as tf

    build = tf.sysconfig.get_build_info()
    if not build["is_cuda_build"]:
        pytest.skip("tensorflow-cpu is installed")
    tensorflow = next(code for code in gpus.device_code() if code.package == "tensorflow")
    code = ["sm_{}{}".format(*capability) for capability in tensorflow.machine_code]
    assert list(build["cuda_compute_capabilities"]) == [*code, "compute_{}{}".format(*tensorflow.ptx)]
    assert build["cuda_version"].startswith("12.5"), "DRIVERS_OF_PTX is that of CUDA 12.5"
    wanted = [line for line in importlib.metadata.requires("tensorflow") if line.startswith("nvidia-cudnn")]
    assert f">={build['cudnn_version']}." in wanted[0]
