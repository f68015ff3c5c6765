"""A disk of the VM that data sets and runs outlive it on."""

import subprocess
import time
from pathlib import Path

BLANK = 2
"""What `blkid --probe` ends with where it finds no file system, partition table or anything else that it knows."""
LABEL = "detbox"
LOOKED_AT = 1 << 20
"""Bytes at the beginning that are zero on a disk that nobody has written to."""


class DiskError(Exception):
    """The disk can't be used; one line."""


def find_device(name: str, seconds: float = 60) -> Path:
    """The device that a path or `LABEL=...` names; a cloud may attach it a little after the boot.

    Raises DiskError.
    """
    label = name.startswith("LABEL=")
    path = Path("/dev/disk/by-label", name[len("LABEL=") :]) if label else Path(name)
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            raise DiskError(f"{path} is not there")
        time.sleep(1)
    return path.resolve()


def mount(device: Path, folder: Path) -> None:
    """Mounts the device at the folder, after making a file system on it if it is blank. Raises DiskError."""
    if subprocess.run(["mountpoint", "--quiet", str(folder)]).returncode == 0:
        return
    if is_blank(device):
        _run("mkfs.ext4", "-q", "-L", LABEL, "-m", "0", str(device))
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", str(device), str(folder))


def is_blank(device: Path) -> bool:
    """Whether nothing is on the device: by its first bytes, and by all that blkid knows. Raises DiskError if that is
    neither certain nor a file system.
    """
    probed = subprocess.run(["blkid", "--probe", str(device)], capture_output=True, text=True)
    if probed.returncode == BLANK:
        with open(device, "rb") as file:
            if any(file.read(LOOKED_AT)):
                raise DiskError(f"{device} has no file system that is known, but is not blank: make one by hand")
        return True
    if probed.returncode:
        raise DiskError(f"what is on {device} is not certain: {probed.stderr.strip() or 'blkid fails'}")
    if " TYPE=" not in probed.stdout:
        raise DiskError(f"{device} has partitions: name one of them")
    return False


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise DiskError(f"{argv[0]}: {done.stderr.strip() or f'exit code {done.returncode}'}")
