"""The data disk of a VM, on images of disks with the real blkid and mkfs."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOST = Path(__file__).parents[3] / "deploy" / "host"
MEBIBYTE = 1 << 20


sys.path.insert(0, str(HOST))
data_disk = importlib.import_module("data_disk")
needs_programs = pytest.mark.skipif(
    not (shutil.which("blkid") and shutil.which("mkfs.ext4")), reason="needs blkid and mkfs.ext4"
)


@pytest.fixture
def disk(tmp_path) -> Path:
    """One that nobody has written to."""
    path = tmp_path / "disk"
    with open(path, "wb") as file:
        file.truncate(16 * MEBIBYTE)
    return path


@needs_programs
def test_a_blank_disk_is_told_from_one_with_files(disk):
    """And gets a file system once."""
    assert data_disk.is_blank(disk)
    subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True)
    assert not data_disk.is_blank(disk)


@needs_programs
@pytest.mark.parametrize(
    ("at", "content"),
    [(0, b"a tape archive, or what is encrypted"), (510, b"\x55\xaa"), (700_000, b"x")],
    ids=["no format", "partition table", "later"],
)
def test_a_disk_that_is_not_certain_is_left_alone(disk, at, content):
    """Whatever has been written to it, nothing is made on it."""
    with open(disk, "r+b") as file:
        file.seek(at)
        file.write(content)
    before = disk.read_bytes()
    with pytest.raises(data_disk.DiskError):
        data_disk.mount(disk, disk.with_name("folder"))
    assert disk.read_bytes() == before


def test_a_disk_that_does_not_come_is_an_error(tmp_path):
    """By path and by label."""
    for name in (str(tmp_path / "absent"), "LABEL=of-no-disk"):
        with pytest.raises(data_disk.DiskError):
            data_disk.find_device(name, seconds=0)
