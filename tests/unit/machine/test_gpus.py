"""What is said of a GPU before training is what TensorFlow 2.21's build makes of it."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

from app.machine import gpus

ROOT = Path(__file__).parents[3]

NEW_DRIVER = (580, 65, 6)


def gpu(capability, driver=NEW_DRIVER, index=0, uuid="GPU-a"):
    return gpus.Gpu(index, uuid, "Some GPU", capability, driver)


@pytest.mark.parametrize(
    ("capability", "kind"),
    [
        ((3, 5), "none"),  # K80
        ((5, 2), "none"),  # M40, GTX 980
        ((6, 0), "none"),  # P100
        ((6, 1), "none"),  # GTX 1080
        ((7, 0), "none"),  # V100
        ((7, 5), "native"),  # T4
        ((8, 0), "native"),  # A100
        ((8, 6), "native"),  # A10, RTX 3090
        ((8, 9), "native"),  # L4, RTX 4090
        ((9, 0), "compiled"),  # H100, H200
        ((10, 0), "compiled"),  # B200
        ((10, 3), "compiled"),  # B300
        ((12, 0), "reported"),  # RTX 5090
        ((12, 1), "reported"),  # DGX Spark
        ((13, 0), "none"),  # not out yet
    ],
)
def test_a_current_driver(capability, kind):
    """Machine code in TensorFlow, cuDNN and cuBLAS; TensorFlow's PTX from 9.0 on; or one of them has nothing."""
    assert gpus.gpu_support(gpu(capability)).kind == kind


@pytest.mark.parametrize(
    ("capability", "driver", "kind"),
    [
        ((8, 0), (525, 60, 12), "none"),
        ((8, 0), (525, 60, 13), "native"),
        ((8, 0), (470, 256, 2), "none"),
        ((9, 0), (535, 183, 1), "none"),
        ((9, 0), (555, 42, 1), "none"),
        ((9, 0), (555, 42, 2), "compiled"),
        ((12, 0), (570, 86, 10), "reported"),
    ],
)
def test_the_driver_decides_too(capability, driver, kind):
    """CUDA 12 needs 525.60.13; compiling the PTX of CUDA 12.5 needs its own driver, 555.42.02."""
    assert gpus.gpu_support(gpu(capability, driver)).kind == kind


def test_what_will_not_work_has_its_remedy():
    """The line names what is there, what is needed, and what to install."""
    old = gpus.gpu_support(gpu((9, 0), (535, 183, 1)))
    assert "9.0" in old.text and "535.183.01" in old.text and "555.42.02" in old.remedy
    pascal = gpus.gpu_support(gpu((6, 0)))
    assert "6.0" in pascal.text and "cuDNN" in pascal.text and "TensorFlow" not in pascal.text
    assert gpus.gpu_support(gpu((8, 6))).remedy == ""


def test_reads_what_the_driver_lists():
    """nvidia-smi's CSV, one line a GPU; lines that are none of a GPU are passed over."""
    text = (
        "0, GPU-1f, NVIDIA H100 80GB HBM3, 9.0, 550.54.15\n"
        "1, GPU-2e, Tesla T4, 7.5, 550.54.15\n"
        "2, GPU-3d, Lost, [N/A], 550.54.15\n"
        "Unable to determine the device handle\n"
    )
    first, second = gpus.read_gpus(lambda argv: text)
    assert (first.name, first.compute_capability, first.driver) == (
        "NVIDIA H100 80GB HBM3",
        (9, 0),
        (550, 54, 15),
    )
    assert str(second) == "Tesla T4, compute capability 7.5, driver 550.54.15"
    assert gpus.read_gpus(lambda argv: None) == []


@pytest.mark.parametrize(
    ("given", "indices"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("1", [1]),
        ("2,0", [2, 0]),
        ("GPU-b", [1]),
        ("0,-1,2", [0]),
        ("7", []),
    ],
)
def test_cuda_visible_devices(given, indices):
    """Only the GPUs that the process will see are judged, as CUDA itself reads the variable."""
    all_gpus = [gpu((8, 0), index=i, uuid=f"GPU-{letter}") for i, letter in enumerate("abc")]
    environ = {} if given is None else {"CUDA_VISIBLE_DEVICES": given}
    assert [found.index for found in gpus.visible(all_gpus, environ)] == indices


REQUIRES = [
    "numpy>=1.26",
    'nvidia-cuda-runtime-cu12<13.0,>=12.5.82; extra == "and-cuda"',
    'nvidia-cudnn-cu12<10.0,>=9.3.0.75; extra == "and-cuda"',
]


@pytest.mark.parametrize(
    ("installed", "faults"),
    [
        ({"nvidia-cuda-runtime-cu12": "12.9.79", "nvidia-cudnn-cu12": "9.28.0.42"}, []),
        ({"nvidia-cuda-runtime-cu12": "12.9.79"}, ["nvidia-cudnn-cu12 is not installed"]),
        (
            {"nvidia-cuda-runtime-cu12": "12.4.1", "nvidia-cudnn-cu12": "9.28.0.42"},
            ["nvidia-cuda-runtime-cu12 is 12.4.1, TensorFlow asks for <13.0,>=12.5.82"],
        ),
    ],
)
def test_the_cuda_packages_are_those_that_tensorflow_asks_for(installed, faults):
    """A library of another version is found before TensorFlow silently takes the CPU."""
    assert gpus.library_faults(REQUIRES, installed) == faults


def test_the_lock_has_what_tensorflow_asks_for():
    """The GPU image is made of the lock, so its libraries are checked wherever TensorFlow's metadata is."""
    requires = importlib.metadata.requires("tensorflow")
    packages = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    locked = {package["name"]: package.get("version", "") for package in packages}
    assert any("and-cuda" in line for line in requires)
    assert gpus.library_faults(requires, locked) == []


def test_the_table_is_of_the_locked_wheels():
    """Another version of TensorFlow, cuDNN or cuBLAS may have code for other GPUs."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    locked = {package["name"]: package.get("version") for package in packages}
    table = {code.package: code.version for code in gpus.device_code()}
    assert table == {name: locked[name] for name in gpus.NAMES}, "run scripts/scan-cuda-wheels"


def test_the_image_lets_in_the_drivers_of_the_table():
    """The base image's own condition refuses drivers on which all kernels of 7.5 to 8.9 run."""
    assert gpus.DRIVER_OF_CUDA_12 == (525, 60, 13), "the driver of CUDA 12.0"
    assert re.search(r"\bNVIDIA_REQUIRE_CUDA=\"?cuda>=12\.0\"?\s", (ROOT / "Dockerfile").read_text(encoding="utf-8"))


def test_the_report_is_of_the_visible_gpus():
    """One line a GPU: what it is, what will happen, what to do."""
    text = "0, GPU-1, Tesla T4, 7.5, 550.54.15\n1, GPU-2, GeForce GTX 980, 5.2, 550.54.15\n"
    lines = gpus.describe_gpus(lambda argv: text, {})
    assert lines[0] == "0: Tesla T4, compute capability 7.5, driver 550.54.15 | native"
    assert "not at all" in lines[1] and "CUDA_VISIBLE_DEVICES=-1" in lines[1]
    assert gpus.describe_gpus(lambda argv: text, {"CUDA_VISIBLE_DEVICES": "-1"}) == []
