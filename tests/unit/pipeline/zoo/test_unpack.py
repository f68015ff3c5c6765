"""Archives that mean harm, or are none."""

import errno
import gzip
import io
import os
import stat
import tarfile
import tracemalloc

import pytest
from archives import FILES, NAME, member, pack, packed_model
from refusals import refused

from app.errors import DetboxError
from app.pipeline.zoo.unpack import unpack


@pytest.fixture
def opened(tmp_path):
    """Unpacks bytes into a folder `out`, of a folder in which nothing else may appear."""

    def run(data, **bounds):
        archive = tmp_path / "a.tar.gz"
        archive.write_bytes(data)
        unpack(archive, tmp_path / "in" / "out", **bounds)
        return tmp_path / "in" / "out"

    yield run
    assert {entry.name for entry in tmp_path.iterdir()} <= {"a.tar.gz", "in"}
    assert [entry.name for entry in (tmp_path / "in").iterdir()] == ["out"]


def test_a_model(opened):
    """Every file arrives as it was, and may be read by everyone: services run as different users."""
    out = opened(packed_model())
    for path, data in FILES.items():
        assert (out / NAME / path).read_bytes() == data
        assert stat.S_IMODE((out / NAME / path).stat().st_mode) == 0o644
    assert stat.S_IMODE((out / NAME).stat().st_mode) == 0o755


@pytest.mark.parametrize("mode", [0o4777, 0o2755, 0o000])
def test_modes_of_the_archive_are_not_taken(opened, mode):
    """No file is set-user-id, executable, or closed to its owner."""
    out = opened(pack(member("tool", b"#!/bin/sh", mode=mode)))
    assert stat.S_IMODE((out / "tool").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        (member("../evil", b"x"), "leads out"),
        (member("a/../../evil", b"x"), "leads out"),
        (member("/tmp/detbox-evil", b"x"), "leads out"),
        (member("..\\evil", b"x"), "leads out"),
        (member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "is a link, to '/etc/passwd'"),
        (member("link", type=tarfile.SYMTYPE, linkname="checkpoint"), "is a link"),
        (member("link", type=tarfile.LNKTYPE, linkname="../../etc/passwd"), "is a link"),
        (member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "neither a folder nor a plain file"),
        (member("disk", type=tarfile.BLKTYPE, devmajor=8), "neither a folder nor a plain file"),
        (member("pipe", type=tarfile.FIFOTYPE), "neither a folder nor a plain file"),
        (member("holes", type=tarfile.GNUTYPE_SPARSE), "neither a folder nor a plain file"),
    ],
)
def test_hostile_entries(opened, entry, what):
    """An entry that is not a plain file or folder below the target is refused by name, after a good one too."""
    with pytest.raises(DetboxError, match=rf"a\.tar\.gz: entry .*{what}.*--zoo_mirror"):
        opened(pack(member("good", b"x"), entry))
    assert not os.path.exists("/tmp/detbox-evil")


def test_too_many_bytes(opened):
    """The sum of what entries claim is bounded, before the one that is too much is unpacked."""
    with refused(DetboxError, where="a.tar.gz", flag="--zoo_mirror", about="1000 bytes"):
        opened(pack(member("a", bytes(600)), member("b", bytes(600))), max_bytes=1000)


def test_too_many_entries(opened):
    """So is their number."""
    with refused(DetboxError, where="a.tar.gz", flag="--zoo_mirror", about="3 entries"):
        opened(pack(*(member(str(number)) for number in range(4))), max_members=3)


def test_huge_header(opened):
    """An extended header that claims gigabytes is refused before it is taken into memory."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 3 << 30
    block = header.tobuf(tarfile.USTAR_FORMAT)
    tracemalloc.start()
    with refused(DetboxError, where="a.tar.gz", flag="--zoo_mirror", about="3221225472 bytes"):
        opened(gzip.compress(block + bytes(4 << 20)))
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def _truncated() -> bytes:
    return packed_model()[:-200]


def _damaged() -> bytes:
    data = bytearray(packed_model())
    data[len(data) // 2] ^= 0xFF
    return bytes(data)


def _plain_tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a"))
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [_truncated(), _damaged(), _plain_tar(), b"", b"<html>404</html>", gzip.compress(b"no tar" * 999), b"\x1f\x8b"],
    ids=["truncated", "damaged", "not gzip", "empty", "page", "not tar", "two bytes"],
)
def test_no_archive(opened, data):
    """What is no whole .tar.gz is called that."""
    with refused(DetboxError, where="a.tar.gz", flag="--zoo_mirror", about="tar.gz"):
        opened(data)


def test_file_in_the_way_of_a_folder(opened):
    """Entries that contradict each other end in one line."""
    with refused(DetboxError, where="a.tar.gz", flag="--zoo_mirror"):
        opened(pack(member("a", b"x"), member("a/b", b"x")))


@pytest.mark.parametrize(
    ("number", "what"),
    [(errno.ENOSPC, "disk is full -> .*--zoo_dir"), (errno.ENAMETOOLONG, "too long -> .*--zoo_mirror")],
)
def test_what_the_disk_refuses(opened, monkeypatch, number, what):
    """A full disk is fixed by another folder, a name that no disk takes by another archive."""

    def refuse(*arguments, **more):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tarfile.TarFile, "extractall", refuse)
    with pytest.raises(DetboxError, match=what):
        opened(packed_model())


def test_a_name_with_a_nul(opened):
    """As only an extended header can hold it."""
    with refused(DetboxError, where="a.tar.gz", flag="--zoo_mirror"):
        opened(pack(member("x", b"y", pax_headers={"path": "a\0b"})))
