"""Run upstream's own TF2 unit tests against the patched source and hold the result to a committed list.

    scripts/conformance               everything in scope
    scripts/conformance --core        the modules that the patches touch, and the training loop
    scripts/conformance --if-changed  everything if this folder or a locked version differs from the record,
                                      else the core
    scripts/conformance --record      everything, then write conformance.json

Exit status 0: exactly the tests in conformance.toml did not pass. 1: anything else, with a list of the
differences.
"""

import argparse
import fnmatch
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ET
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import backend  # noqa: E402
import standins  # noqa: E402

LOCK = HERE.parent.parent / "uv.lock"
LISTED = HERE / "conformance.toml"
RECORD = HERE / "conformance.json"
LISTED_MOST = 30

OUT_OF_SCOPE = (
    "object_detection/*_tf1_test.py",
    "object_detection/dataset_tools/*",
    "object_detection/legacy/*",
    "object_detection/tpu_exporters/*",
    "object_detection/builders/model_builder_test.py",
)
"""Tests of what runs on TF1 or TPU only or is not in the wheel, and the abstract base of two other test files."""

CORE = (
    "object_detection/builders/*_test.py",
    "object_detection/core/preprocessor_test.py",
    "object_detection/data_decoders/*_test.py",
    "object_detection/eval_util_test.py",
    "object_detection/metrics/*_test.py",
    "object_detection/model_lib_tf2_test.py",
    "object_detection/models/center_net_mobilenet_v2_*_test.py",
    "object_detection/models/keras_models/resnet_v1_tf2_test.py",
    "object_detection/utils/*_test.py",
)

LIBRARIES = (
    "absl-py", "h5py", "lvis", "matplotlib", "numpy", "pillow", "protobuf", "pycocotools", "scipy", "six",
    "tensorflow", "tf-keras", "tf-slim",
)  # fmt: skip
"""A change of one of these in uv.lock asks for the whole run again."""


PLUGIN = """\
import pytest
import tensorflow as tf
from tensorflow.python.platform import googletest


def pytest_configure():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(googletest, "_googletest_temp_dir", str(tmp_path))
    tf.keras.backend.reset_uids()
"""
"""What the tests run under: model_lib_tf2_test mirrors over /cpu:0 and /cpu:1, and hangs where the second does not
exist; its tests of different models share tf.test.get_temp_dir(), and our loop refuses to resume from the checkpoint
of another model, where upstream's takes nothing from it in silence. Keras numbers the names of layers anew for each
test: DeepMAC's and Inception ResNet's wire layers by the order of their names, so that they depended on what had run
before in the same process."""


def select(tree: Path, *, core: bool) -> list[str]:
    """The test files to run, relative to the tree."""
    names = sorted(path.relative_to(tree).as_posix() for path in (tree / "object_detection").rglob("*_test.py"))
    names = [name for name in names if not any(fnmatch.fnmatchcase(name, rule) for rule in OUT_OF_SCOPE)]
    return [name for name in names if not core or any(fnmatch.fnmatchcase(name, rule) for rule in CORE)]


def run_tests(tree: Path, files: list[str], workers: int) -> dict[str, str]:
    """Outcome (passed, skipped, failed) of every test, by `module.Class.test`."""
    report = tree / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "--disable-warnings", "--durations=15"]
    command += ["-p", "no:cacheprovider", "-p", "upstream_plugin"]
    command += ["-c", os.devnull, "--rootdir", str(tree), "--timeout=300", f"--junitxml={report}"]
    command += ["-n", str(workers), "--dist=loadfile"] if workers > 1 else []
    (tree / "upstream_plugin.py").write_text(PLUGIN, encoding="utf-8")
    env = os.environ | {
        "PYTHONPATH": str(tree),
        "TF_USE_LEGACY_KERAS": "1",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    subprocess.run([*command, *files], cwd=tree, env=env, stdout=sys.stderr, check=False)
    if not report.is_file():
        raise SystemExit("conformance: pytest wrote no report: see its output above")
    return read_report(report)


def read_report(path: Path) -> dict[str, str]:
    outcomes: dict[str, str] = {}
    for case in ET.parse(path).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}".lstrip(".")
        bad = case.find("failure") is not None or case.find("error") is not None
        outcomes[name] = "failed" if bad else "skipped" if case.find("skipped") is not None else "passed"
    return outcomes


def read_listed() -> dict[str, str]:
    """Test -> reason, of those that are known not to pass."""
    entries = tomllib.loads(LISTED.read_text(encoding="utf-8")).get("listed", [])
    listed = {entry["test"]: entry["reason"] for entry in entries}
    if len(listed) != len(entries) or not all(listed.values()):
        raise SystemExit("conformance.toml: every test is listed once, with a reason")
    if len(listed) > LISTED_MOST:
        raise SystemExit(f"conformance.toml lists {len(listed)} tests, at most {LISTED_MOST}: make some of them pass")
    return listed


def judge(outcomes: dict[str, str], listed: dict[str, str], files: list[str]) -> list[str]:
    """One line for every difference between what happened and what is listed."""
    modules = tuple(name.removesuffix(".py").replace("/", ".") for name in files)
    faults = [f"fails, is not listed: {n}" for n, o in outcomes.items() if o == "failed" and n not in listed]
    for name in listed:
        ours = any(name == module or name.startswith(module + ".") for module in modules)
        if name in outcomes and outcomes[name] != "failed":
            faults.append(f"{outcomes[name]}, but is listed: {name}")
        elif ours and name not in outcomes:
            faults.append(f"listed, but does not exist: {name}")
    return sorted(faults)


def fingerprint() -> str:
    """Hash over this folder, less prose and the record, and over the locked versions of LIBRARIES."""
    digest = hashlib.sha256()
    for path in sorted(HERE.rglob("*")):
        name = path.relative_to(HERE).as_posix()
        if path.is_file() and name not in ("README.md", RECORD.name) and "__pycache__" not in name:
            digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    for name, version in locked_versions().items():
        digest.update(f"{name} {version}\n".encode())
    return digest.hexdigest()


def locked_versions() -> dict[str, str]:
    packages = tomllib.loads(LOCK.read_text(encoding="utf-8"))["package"]
    found: dict[str, list[str]] = {name: [] for name in LIBRARIES}
    for package in packages:
        if package["name"] in found:
            found[package["name"]].append(package["version"])
    return {name: " ".join(sorted(versions)) for name, versions in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", action="store_true")
    parser.add_argument("--if-changed", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("-n", "--workers", type=int, default=2, help="pytest processes; each takes up to 2 GB")
    args = parser.parse_args()
    core = args.core
    if args.if_changed and RECORD.is_file():
        core = json.loads(RECORD.read_text(encoding="utf-8"))["fingerprint"] == fingerprint()
        print("conformance: " + ("unchanged since the record, running the core" if core else "changed, running all"))
    if core and args.record:
        parser.error("--record records a whole run: leave out --core")
    listed, before = read_listed(), fingerprint()
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        with backend.one_line_errors():
            build = backend.unpack(tree)
        standins.write(tree)
        files = select(tree, core=core)
        begin = time.monotonic()
        outcomes = run_tests(tree, files, args.workers)
    minutes = round((time.monotonic() - begin) / 60, 1)
    counts = {kind: list(outcomes.values()).count(kind) for kind in ("passed", "failed", "skipped")}
    counts["listed"] = len(listed)
    faults = judge(outcomes, listed, files)
    for fault in faults:
        print(fault)
    print(f"conformance: {counts} in {minutes} min, {len(faults)} differences from {LISTED.name}")
    if args.record and not faults:
        record = {"fingerprint": before, "series_sha256": build["series_sha256"], "counts": counts}
        record |= {"minutes": minutes, "date": date.today().isoformat(), "versions": locked_versions()}
        RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
