"""The half precision that `auto` takes is one that all GPUs at hand are good at."""

import pytest

from app.machine import precision


def smi(*capabilities: str, driver="580.65.06"):
    """A stand-in for nvidia-smi's listing of GPUs of these compute capabilities."""
    lines = [f"{number}, GPU-{number}, Some GPU, {one}, {driver}" for number, one in enumerate(capabilities)]
    return lambda argv: "\n".join(lines)


@pytest.mark.parametrize(
    ("listed", "environ", "chosen"),
    [
        (smi(), {}, "off"),
        (smi("6.1"), {}, "off"),
        (smi("7.0"), {}, "off"),
        (smi("7.5"), {}, "float16"),
        (smi("8.0"), {}, "bfloat16"),
        (smi("8.9"), {}, "bfloat16"),
        (smi("9.0"), {}, "bfloat16"),
        (smi("8.0", "7.5"), {}, "float16"),
        (smi("8.0", "7.5"), {"CUDA_VISIBLE_DEVICES": "0"}, "bfloat16"),
        (smi("8.0"), {"CUDA_VISIBLE_DEVICES": "-1"}, "off"),
        (smi("8.0", driver="470.57.02"), {}, "off"),
        (lambda argv: None, {}, "off"),
    ],
)
def test_auto_goes_by_the_least_gpu_that_is_used(listed, environ, chosen):
    """bfloat16 from 8.0 on, float16 from 7.0 on; neither on a CPU, nor for GPUs that TensorFlow leaves alone."""
    capabilities = precision.capabilities_listed(listed, environ=environ)
    choice = precision.choose("auto", capabilities)
    assert choice.precision == chosen
    assert choice.reason


def test_auto_where_tensorflow_runs_on_it_after_all():
    """The first tensor cores are V100's, of float16; what ran before has none."""
    assert [precision.choose("auto", [one]).precision for one in ((6, 1), (7, 0))] == ["off", "float16"]


@pytest.mark.parametrize("asked", ["off", "bfloat16", "float16"])
@pytest.mark.parametrize("capabilities", [[], [(6, 1)], [(9, 0)]])
def test_what_is_asked_for_is_taken(asked, capabilities):
    """On any machine."""
    assert precision.choose(asked, capabilities).precision == asked


def test_what_is_slow_is_said():
    """Half precision on a CPU, bfloat16 on a GPU without it."""
    assert "CPU" in precision.choose("float16", []).reason
    assert "7.5" in precision.choose("bfloat16", [(7, 5)]).reason
