"""Checks of the machine or image that detbox runs on."""

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from app.errors import PatchMismatchError
from app.machine import gpu_probe, gpus, odapi_build
from app.machine.cores import usable_cores
from app.machine.diagnosis import Check, Diagnosis, first_remedies
from app.machine.host_doctor import check_memory
from app.run.files import read_object

PACKAGES = ("tensorboard", "numpy", "protobuf", "fire", "pydantic")
LITTLE_DISK = 5e9
IMAGE_RECORD = Path("/opt/detbox/provenance.json")


def diagnose(models_dir: Path) -> Diagnosis:
    """Looks at everything; never raises for what it finds."""
    checks = [check_python(), *check_packages(), check_od_api(), check_cpu(), check_memory()]
    checks += [check_models_dir(models_dir), check_disk(models_dir), *check_gpus(), check_cuda_libraries()]
    revision = os.environ.get("DETBOX_REVISION") or None
    checks.append(Check("revision", "ok", revision or "not that of an image"))
    return Diagnosis(checks, revision, odapi_build.record(), read_object(IMAGE_RECORD))


def check_python() -> Check:
    text = f"{platform.python_version()} on {platform.platform(terse=True)}, {sys.executable}"
    return Check("python", "ok", text)


def check_packages() -> list[Check]:
    """TensorFlow, the legacy Keras that goes with it, and the rest, from their metadata alone."""
    found = {name: _version(name) for name in ("tensorflow", "tensorflow-cpu")}
    installed = [f"{name} {version}" for name, version in found.items() if version]
    tensorflow = next((version for version in found.values() if version), None)
    if not installed:
        first = Check("tensorflow", "fail", "not installed", "scripts/quickstart installs what the lock says")
    elif len(installed) > 1:
        text = f"{' and '.join(installed)} lie over each other"
        first = Check("tensorflow", "warn", text, "install one of them, into a new environment")
    else:
        first = Check("tensorflow", "ok", installed[0])
    return [first, check_legacy_keras(tensorflow), *(_package(name) for name in PACKAGES)]


def check_legacy_keras(tensorflow: str | None) -> Check:
    """The OD API needs `tf.keras` to be tf-keras, of TensorFlow's own minor version."""
    name, version = "legacy keras", _version("tf-keras")
    if version is None:
        return Check(name, "fail", "tf-keras is not installed", "install tf-keras as the lock says")
    if os.environ.get("TF_USE_LEGACY_KERAS", "1") not in ("1", "true", "True"):
        value = os.environ["TF_USE_LEGACY_KERAS"]
        return Check(name, "fail", f"TF_USE_LEGACY_KERAS={value} turns it off", "unset TF_USE_LEGACY_KERAS")
    if tensorflow and tensorflow.split(".")[:2] != version.split(".")[:2]:
        text = f"tf-keras {version} is not for tensorflow {tensorflow}"
        return Check(name, "fail", text, "install both as the lock says")
    return Check(name, "ok", f"tf-keras {version}")


def check_od_api() -> Check:
    """The installed OD API against the patches of this checkout."""
    try:
        record = odapi_build.verify()
    except PatchMismatchError as error:
        return Check("od api", "fail", error.what, error.remedy, exit_code=error.exit_code)
    count = len(record.get("patches", []))
    against = "equal to this checkout's" if odapi_build.OF_CHECKOUT.is_dir() else "no checkout to compare with"
    return Check("od api", "ok", f"object-detection {record.get('version')}, {count} patches, {against}")


def check_cpu() -> Check:
    return Check("cpu", "ok", f"{usable_cores()} of {os.cpu_count()} cores")


def check_models_dir(models_dir: Path) -> Check:
    """Whether a run could be written there."""
    folder = _existing(models_dir)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        remedy = f"give user {os.getuid()} the right to write there, or another --models_dir"
        return Check("models_dir", "fail", f"{folder} can't be written to: {error.strerror}", remedy)
    return Check("models_dir", "ok", f"{models_dir.absolute()} can be written to")


def check_disk(models_dir: Path) -> Check:
    free = shutil.disk_usage(_existing(models_dir)).free
    text = f"{free / 1e9:.1f} GB free at models_dir"
    if free < LITTLE_DISK:
        return Check("disk", "warn", text, "a run takes up to some GB of checkpoints and events")
    return Check("disk", "ok", text)


def check_gpus(
    ask: Callable[[list[str]], str | None] = gpus.output, run: gpu_probe.Runner = gpu_probe.run_child
) -> list[Check]:
    """The GPUs that the driver shows, then what came of kernels on each that TensorFlow sees.

    TensorFlow is imported, in a process of its own, only where nvidia-smi or CUDA's driver shows a GPU.
    """
    found = gpus.visible(gpus.read_gpus(ask), os.environ)
    if not found and not gpu_probe.count_gpus(run):
        return [Check("gpu", "ok", "none: training runs on the CPU")]
    supports = [gpus.gpu_support(gpu) for gpu in found]
    text = "; ".join(f"{gpu}: {support.text}" for gpu, support in zip(found, supports, strict=True))
    text = text or "one that nvidia-smi does not list"
    remedies = first_remedies(support.remedy for support in supports)
    probes = gpu_probe.probe_gpus(run)
    if not probes:
        remedy = remedies or "install the CUDA libraries: uv sync --extra gpu; in a container, the image for GPUs"
        return [Check("gpu", "warn", f"{text}, but TensorFlow can't use it", remedy)]
    bad = any(support.kind in ("none", "reported") for support in supports)
    return [Check("gpu", "warn" if bad else "ok", text, remedies), *map(_check_kernels, probes)]


def _check_kernels(probe: gpu_probe.GpuProbe) -> Check:
    if probe.error:
        remedy = f"training would fail alike: another driver, {gpus.OTHER_GPU}"
        return Check("gpu kernels", "fail", f"{probe.gpu}: {probe.error}", remedy)
    text = f"{probe.gpu}: convolution, matrix product and gradients as on the CPU"
    return Check("gpu kernels", "ok", f"{text}, {probe.difference:.1g} apart, {probe.seconds:.1f} s")


def check_cuda_libraries() -> Check:
    """CUDA's packages against what the installed TensorFlow asks for."""
    distributions = importlib.metadata.distributions()
    installed = {name: found.version for found in distributions if (name := found.name or "").startswith("nvidia-")}
    if not installed:
        return Check("cuda", "ok", "no CUDA packages: installed for the CPU")
    try:
        requires = importlib.metadata.requires("tensorflow") or []
    except importlib.metadata.PackageNotFoundError:
        requires = []
    faults = gpus.library_faults(requires, installed)
    if faults:
        return Check("cuda", "warn", "; ".join(faults), "install what the lock says: uv sync --extra gpu")
    versions = ", ".join(f"{name.removeprefix('nvidia-')} {version}" for name, version in sorted(installed.items()))
    return Check("cuda", "ok", f"as TensorFlow asks: {versions}")


def _package(name: str) -> Check:
    version = _version(name)
    if version is None:
        return Check(name, "fail", "not installed", "scripts/quickstart installs what the lock says")
    return Check(name, "ok", version)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _existing(path: Path) -> Path:
    path = path.absolute()
    return path if path.exists() or path == path.parent else _existing(path.parent)
