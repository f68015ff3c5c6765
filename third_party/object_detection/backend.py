"""PEP 517 backend: the pinned OD API sdist, patched, as the wheel `object-detection`.

Also a command line for development:

    python third_party/object_detection/backend.py unpack TARGET [--without-seam] [--until PATCH]
    python third_party/object_detection/backend.py refresh PATCH TREE
"""

import argparse
import base64
import difflib
import fnmatch
import hashlib
import json
import re
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import patching  # noqa: E402
import sources  # noqa: E402

OFFICIAL = "object_detection/official_models"
EFFICIENTNET = "official/legacy/image_classification/efficientnet"
OFFICIAL_FILES = {
    f"{EFFICIENTNET}/efficientnet_model.py": f"{OFFICIAL}/efficientnet_model.py",
    f"{EFFICIENTNET}/common_modules.py": f"{OFFICIAL}/common_modules.py",
    "official/modeling/optimization/ema_optimizer.py": f"{OFFICIAL}/ema_optimizer.py",
    "tf_models_no_deps-2.19.0.dist-info/LICENSE": f"{OFFICIAL}/LICENSE",
}
"""What the OD API imports from `official`, and where it lands in the tree."""

LEFT_OUT = (
    "*_test.py",
    "*_testbase.py",
    "object_detection/dataset_tools/*",
    "object_detection/legacy/*",
    "object_detection/tpu_exporters/*",
    "object_detection/model_main.py",
    "object_detection/model_tpu_main.py",
)
"""Not in the wheel: tests, and what serves only TF1 or wants packages that training does not."""

RECORD_NAME = "object_detection/detbox_build.json"
_SLIM = re.compile(rb"^ *from (nets|deployment)\b", re.MULTILINE)
_EPOCH = (2020, 1, 1, 0, 0, 0)


def unpack(target: Path, *, seam: bool = True, until: str = "") -> dict:
    """Fetch, verify, unpack and patch into `target`, tests included; returns the build record.

    `until` names the last patch to apply; empty for the whole series.
    """
    if target.exists() and any(target.iterdir()):
        raise sources.SourceError(f"{target} is not empty: name a new folder")
    _unpack_upstream(target)
    patches = patching.apply_series(HERE / "patches", target, seam=seam, until=until)
    record = build_record(patches)
    (target / RECORD_NAME).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return record


def _unpack_upstream(target: Path) -> None:
    """The two pinned archives' files as upstream has them."""
    with tempfile.TemporaryDirectory() as scratch:
        downloads = Path(scratch)
        sources.fetch(downloads)
        sources.unpack_sdist(downloads / sources.SDIST.filename, target)
        sources.unpack_wheel_files(downloads / sources.MODELS_WHEEL.filename, OFFICIAL_FILES, target)


def build_record(patches: list[Path]) -> dict:
    """What was applied to what; it travels in the wheel as `object_detection/detbox_build.json`."""
    hashes = [{"name": path.name, "sha256": patching.sha256(path)} for path in patches]
    joined = "".join(f"{entry['sha256']}  {entry['name']}\n" for entry in hashes)
    return {
        "version": _project()["version"],
        "upstream": {"project": sources.SDIST.project, "version": sources.SDIST.version},
        "sdist_sha256": sources.SDIST.sha256,
        "official_models_sha256": sources.MODELS_WHEEL.sha256,
        "patches": hashes,
        "series_sha256": hashlib.sha256(joined.encode()).hexdigest(),
    }


def _project() -> dict:
    return tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _dist_info() -> str:
    return f"object_detection-{_project()['version']}.dist-info"


def _metadata() -> dict[str, bytes]:
    """The files of dist-info, less RECORD; nothing of upstream's own requirement list gets in."""
    project = _project()
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project['version']}"]
    lines += [f"Summary: {project['description']}", f"License: {project['license']['text']}"]
    lines += [f"Requires-Python: {project['requires-python']}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in project["dependencies"]]
    wheel = ["Wheel-Version: 1.0", "Generator: detbox", "Root-Is-Purelib: true", "Tag: py3-none-any"]
    return {
        "METADATA": ("\n".join(lines) + "\n").encode(),
        "WHEEL": ("\n".join(wheel) + "\n").encode(),
        "top_level.txt": b"object_detection\n",
    }


def get_requires_for_build_wheel(config_settings=None) -> list[str]:
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None) -> str:
    folder = Path(metadata_directory) / _dist_info()
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _metadata().items():
        (folder / name).write_bytes(content)
    return folder.name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None) -> str:
    """Write the wheel: the same patches give the same bytes, on any machine."""
    with tempfile.TemporaryDirectory() as scratch, one_line_errors():
        tree = Path(scratch) / "tree"
        unpack(tree)
        files = {name: (tree / name).read_bytes() for name in _shipped(tree)}
        files |= {f"{_dist_info()}/{name}": content for name, content in _metadata().items()}
        files[f"{_dist_info()}/licenses/LICENSE"] = (tree / "LICENSE").read_bytes()
        return _write_wheel(Path(wheel_directory), files)


def _shipped(tree: Path) -> list[str]:
    """The files of the wheel; a TF1 model, known by its import from slim, is not among them."""
    names = []
    for path in (tree / "object_detection").rglob("*"):
        name = path.relative_to(tree).as_posix()
        left_out = any(fnmatch.fnmatchcase(name, pattern) for pattern in LEFT_OUT)
        if path.is_file() and not left_out and not _SLIM.search(path.read_bytes()):
            names.append(name)
    return sorted(names)


def _write_wheel(folder: Path, files: dict[str, bytes]) -> str:
    record = f"{_dist_info()}/RECORD"
    rows = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(content)}\n")
    rows.append(f"{record},,\n")
    path = folder / f"object_detection-{_project()['version']}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in [*files.items(), (record, "".join(rows).encode())]:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            wheel.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path.name


def build_sdist(sdist_directory, config_settings=None) -> str:
    raise SystemExit("object-detection: no sdist is built, the source is fetched; build the wheel instead")


class one_line_errors:
    """Turn the errors that have a remedy into one line on stderr and exit status 1, without a traceback."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, (patching.PatchError, sources.SourceError)):
            raise SystemExit(f"object-detection: {error}") from None
        return False


def refresh(name: str, tree: Path) -> None:
    """Rewrite patch `name` so that it turns the series before it into `tree`, keeping its DEP-3 header."""
    folder = HERE / "patches"
    header = re.split(r"^---", (folder / name).read_text(encoding="utf-8"), maxsplit=1, flags=re.MULTILINE)[0]
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch) / "base"
        _unpack_upstream(base)
        for path in patching.read_series(folder):
            if path.name == name:
                break
            patching.apply_patch(path, base)
        diff = "".join(_diff(base, tree))
    (folder / name).write_text(f"{header.rstrip()}\n\n{diff}", encoding="utf-8")


def _diff(old: Path, new: Path) -> Iterator[str]:
    """A unified diff of the Python files of two trees, with one line of context."""
    for name in sorted({path.relative_to(root).as_posix() for root in (old, new) for path in root.rglob("*.py")}):
        before, after = (patching.read_lines(root / name) if (root / name).exists() else None for root in (old, new))
        labels = ("/dev/null" if lines is None else f"{side}/{name}" for side, lines in (("a", before), ("b", after)))
        yield from difflib.unified_diff(before or [], after or [], *labels, n=1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Work with the patched OD API source.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("unpack", help="fetch, verify and patch into a folder, tests included")
    command.add_argument("target", type=Path)
    command.add_argument("--without-seam", action="store_true", help="the compatibility patches only")
    command.add_argument("--until", default="", metavar="PATCH", help="the last patch to apply")
    command = commands.add_parser("refresh", help="rewrite a patch from an edited tree")
    command.add_argument("patch")
    command.add_argument("tree", type=Path)
    args = parser.parse_args()
    with one_line_errors():
        if args.command == "unpack":
            record = unpack(args.target, seam=not args.without_seam, until=args.until)
            print(f"{args.target}: {len(record['patches'])} patches applied")
        else:
            refresh(args.patch, args.tree)


if __name__ == "__main__":
    main()
