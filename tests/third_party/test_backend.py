"""The build of the patched OD API stops with one clear line at every fault, without a network."""

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "third_party" / "object_detection"
sys.path.insert(0, str(SOURCE))

import backend  # noqa: E402
import patching  # noqa: E402
import sources  # noqa: E402

HEADER = """\
Description: Say hello to everyone
 It greeted the world only.
Author: detbox
Origin: vendor
Forwarded: not-needed
Last-Update: 2026-01-01

"""
DIFF = """\
--- a/object_detection/hello.py
+++ b/object_detection/hello.py
@@ -1,3 +1,3 @@
 # A greeting.
-GREETING = "hello, world"
+GREETING = "hello, everyone"
 print(GREETING)
"""
HELLO = '# A greeting.\nGREETING = "hello, world"\nprint(GREETING)\n'


def write_sdist(path: Path, files: dict[str, str]) -> str:
    """A gzipped tar of `files`; returns its sha256."""
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def patches(tmp_path):
    """A folder with a series of one good patch."""
    folder = tmp_path / "source" / "patches"
    folder.mkdir(parents=True)
    (folder / "series").write_text("0001-hello.patch\n")
    (folder / "0001-hello.patch").write_text(HEADER + DIFF)
    return folder


@pytest.fixture
def tree(tmp_path):
    """An unpacked upstream source of one file."""
    file = tmp_path / "tree" / "object_detection" / "hello.py"
    file.parent.mkdir(parents=True)
    file.write_text(HELLO)
    return tmp_path / "tree"


def test_patch_applies(patches, tree):
    """A good series changes exactly the line it names."""
    assert [path.name for path in patching.apply_series(patches, tree)] == ["0001-hello.patch"]
    assert (tree / "object_detection/hello.py").read_text() == HELLO.replace("world", "everyone")


def test_patch_creates_and_deletes(patches, tree):
    """/dev/null on one side creates or deletes a file."""
    create = "--- /dev/null\n+++ b/object_detection/new.py\n@@ -0,0 +1,2 @@\n+A = 1\n+B = 2\n"
    delete = "--- a/object_detection/hello.py\n+++ /dev/null\n@@ -1,3 +0,0 @@\n"
    delete += "".join(f"-{line}\n" for line in HELLO.splitlines())
    (patches / "0001-hello.patch").write_text(HEADER + create + delete)
    patching.apply_series(patches, tree)
    assert (tree / "object_detection/new.py").read_text() == "A = 1\nB = 2\n"
    assert not (tree / "object_detection/hello.py").exists()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        pytest.param(lambda text: text.replace("A greeting", "Another greeting"), "context differs", id="fuzz"),
        pytest.param(lambda text: "\n" + text, "context is a line lower", id="offset"),
    ],
)
def test_non_applying_patch_is_refused(patches, tree, change, what):
    """Neither fuzz nor offset is tolerated; the message names patch, file and remedy."""
    file = tree / "object_detection/hello.py"
    file.write_text(change(HELLO))
    with pytest.raises(patching.PatchError, match=r"0001-hello\.patch does not apply.*hello\.py:1.*refresh") as error:
        patching.apply_series(patches, tree)
    assert "\n" not in str(error.value), what


def test_patch_of_missing_file_is_refused(patches, tree):
    """A patch whose target is gone does not pass silently."""
    (tree / "object_detection/hello.py").unlink()
    with pytest.raises(patching.PatchError, match=r"hello\.py does not exist"):
        patching.apply_series(patches, tree)


def test_truncated_patch_is_refused(patches, tree):
    """A hunk shorter than its header says is refused."""
    (patches / "0001-hello.patch").write_text((HEADER + DIFF).removesuffix(" print(GREETING)\n"))
    with pytest.raises(patching.PatchError, match="counts differ"):
        patching.apply_series(patches, tree)


def test_patch_outside_the_tree_is_refused(patches, tree):
    """A patch cannot name a path outside the tree."""
    (patches / "0001-hello.patch").write_text(HEADER + DIFF.replace("object_detection/hello", "../../hello"))
    with pytest.raises(patching.PatchError, match="unsafe path"):
        patching.apply_series(patches, tree)


def test_patch_not_in_series_is_refused(patches):
    """A patch file that `series` forgets stops the build."""
    (patches / "0002-forgotten.patch").write_text(HEADER + DIFF)
    with pytest.raises(patching.PatchError, match=r"0002-forgotten\.patch is not named in patches/series"):
        patching.read_series(patches)


def test_series_entry_without_file_is_refused(patches):
    """A `series` line without its file stops the build."""
    (patches / "series").write_text("0001-hello.patch\n0002-gone.patch\n")
    with pytest.raises(patching.PatchError, match=r"names 0002-gone\.patch, which is not in patches/"):
        patching.read_series(patches)


def test_seam_can_be_left_out(patches):
    """The compatibility series is the full one less patches 0900 and above."""
    (patches / "0900-seam.patch").write_text(HEADER + DIFF)
    (patches / "series").write_text("0001-hello.patch  # first\n0900-seam.patch\n")
    assert [path.name for path in patching.read_series(patches)] == ["0001-hello.patch", "0900-seam.patch"]
    assert [path.name for path in patching.read_series(patches, seam=False)] == ["0001-hello.patch"]


@pytest.mark.parametrize("field", patching.REQUIRED_FIELDS)
def test_header_field_is_required(patches, tree, field):
    """A patch that lacks a DEP-3 field is refused by name."""
    lines = [line for line in HEADER.splitlines(keepends=True) if not line.startswith(field)]
    (patches / "0001-hello.patch").write_text("".join(lines) + DIFF)
    with pytest.raises(patching.PatchError, match=rf"lacks the DEP-3 field {field}"):
        patching.apply_series(patches, tree)


@pytest.mark.parametrize("path", patching.read_series(SOURCE / "patches"), ids=lambda path: path.name)
def test_committed_patch_is_well_formed(path):
    """Every patch of the real series has its header and parses."""
    fields = patching.check_header(path)
    assert fields["Author"] == "detbox"
    assert patching.parse_patch(path)


def test_hash_mismatch_is_refused(tmp_path):
    """An archive with another sha256 than the pinned one is refused, both named."""
    path = tmp_path / "thing-1.tar.gz"
    actual = write_sdist(path, {"thing-1/a.py": "A = 1\n"})
    with pytest.raises(sources.SourceError, match=rf"{actual}, pinned is {'0' * 64}"):
        sources.verify(path, "0" * 64)
    sources.verify(path, actual)


def test_pip_hash_mismatch_is_told_in_one_line():
    """pip's report of a wrong hash becomes one line with the remedy, and is not retried."""
    output = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n    Got        abc\n"
    assert sources.explain(output).startswith("the index serves other archives than the pinned ones (sha256 abc")
    assert "PIP_INDEX_URL" in sources.explain(output)


def test_network_error_is_told_with_its_remedy():
    """Any other failure of pip names its cause and the way around."""
    told = sources.explain("WARNING: Retrying\nERROR: No matching distribution found for x\n")
    assert "No matching distribution found for x" in told and "PIP_FIND_LINKS" in told


def test_sdist_unpacks_below_its_top_folder(tmp_path):
    """The one top folder of a sdist is dropped."""
    write_sdist(tmp_path / "thing-1.tar.gz", {"thing-1/object_detection/hello.py": HELLO})
    sources.unpack_sdist(tmp_path / "thing-1.tar.gz", tmp_path / "out")
    assert (tmp_path / "out/object_detection/hello.py").read_text() == HELLO


@pytest.mark.parametrize("name", ["thing-1/../../evil.py", "/evil.py", "thing-1/..\\evil.py", "C:/evil.py"])
def test_path_traversal_is_refused(tmp_path, name):
    """A member that would land outside the target is refused before anything is written."""
    write_sdist(tmp_path / "thing-1.tar.gz", {"thing-1/a.py": "A = 1\n", name: "EVIL = 1\n"})
    with pytest.raises(sources.SourceError, match="unsafe path"):
        sources.unpack_sdist(tmp_path / "thing-1.tar.gz", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_link_is_refused(tmp_path):
    """A symbolic link in the archive is refused."""
    with tarfile.open(tmp_path / "thing-1.tar.gz", "w:gz") as tar:
        link = tarfile.TarInfo("thing-1/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(sources.SourceError, match="link or device"):
        sources.unpack_sdist(tmp_path / "thing-1.tar.gz", tmp_path / "out")


@pytest.fixture
def build(tmp_path, patches, monkeypatch):
    """A function that builds a wheel from a made-up sdist and returns its path."""

    def fetch(folder):
        folder.mkdir(parents=True, exist_ok=True)
        files = {
            "object_detection/hello.py": HELLO,
            "object_detection/hello_test.py": "",
            "LICENSE": "free\n",
        }
        write_sdist(folder / sources.SDIST.filename, {f"thing-1/{name}": text for name, text in files.items()})
        with zipfile.ZipFile(folder / sources.MODELS_WHEEL.filename, "w") as wheel:
            for name in backend.OFFICIAL_FILES:
                wheel.writestr(name, "# official\n")

    (patches.parent / "pyproject.toml").write_text((SOURCE / "pyproject.toml").read_text())
    monkeypatch.setattr(sources, "fetch", fetch)
    monkeypatch.setattr(backend, "HERE", patches.parent)

    def run(name="out"):
        (tmp_path / name).mkdir()
        return tmp_path / name / backend.build_wheel(tmp_path / name)

    return run


def test_wheel_is_patched_and_recorded(build, patches):
    """The wheel holds the patched module, no tests, our requirements, and the hashes of what was applied."""
    with zipfile.ZipFile(build()) as wheel:
        names = wheel.namelist()
        assert "everyone" in wheel.read("object_detection/hello.py").decode()
        assert "object_detection/hello_test.py" not in names
        metadata = next(name for name in names if name.endswith("METADATA"))
        assert "Requires-Dist: tf-keras==" in wheel.read(metadata).decode()
        record = wheel.read(backend.RECORD_NAME).decode()
        assert patching.sha256(patches / "0001-hello.patch") in record
        assert sources.SDIST.sha256 in record


def test_build_is_deterministic(build):
    """Two builds give the same bytes."""
    assert build("one").read_bytes() == build("two").read_bytes()


def test_build_fault_is_one_line(build, patches):
    """A fault leaves the backend as SystemExit with one line: no traceback of ours under pip or uv."""
    (patches / "0002-forgotten.patch").write_text(HEADER + DIFF)
    with pytest.raises(SystemExit) as stop:
        build()
    assert str(stop.value).startswith("object-detection: patches/0002-forgotten.patch")
    assert "\n" not in str(stop.value)


def test_command_line_refuses_a_full_folder(tmp_path):
    """`unpack` into a folder with files in it exits 1 with one line and no traceback."""
    (tmp_path / "precious").write_text("")
    command = [sys.executable, str(SOURCE / "backend.py"), "unpack", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1 and "is not empty" in result.stderr
