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
    code = [f"sm_{major}{minor}" for major, minor in gpus.MACHINE_CODE]
    assert list(build["cuda_compute_capabilities"]) == [*code, "compute_{}{}".format(*gpus.PTX)]
    assert build["cuda_version"].startswith("12.5"), "DRIVER_OF_PTX is that of CUDA 12.5"
    wanted = [line for line in importlib.metadata.requires("tensorflow") if line.startswith("nvidia-cudnn")]
    assert f">={build['cudnn_version']}." in wanted[0]
