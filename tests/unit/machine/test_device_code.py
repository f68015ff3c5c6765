"""scripts/scan-cuda-wheels on fat binaries that are made here."""

import importlib.machinery
import importlib.util
import json
import struct
import zipfile

import pytest

from tests.unit.machine.test_gpus import ROOT


@pytest.fixture(scope="module")
def scan():
    loader = importlib.machinery.SourceFileLoader("scan_cuda_wheels", str(ROOT / "scripts" / "scan-cuda-wheels"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def image(kind, architecture, isa=(0, 0), flags=0x2011, payload=b"code" * 6):
    head = struct.pack("<HHIQ", kind, 0x101, 64, len(payload)) + bytes(8)
    head += struct.pack("<HHI", isa[1], isa[0], architecture) + bytes(8) + struct.pack("<QQQ", flags, 0, 0)
    return head + payload


def fat_binary(*images):
    body = b"".join(images)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def cubin(architecture, flags=0x2011):
    return image(2, architecture, flags=flags)


def ptx(architecture, isa=(8, 5), flags=0x2011):
    return image(1, architecture, isa, flags)


def library(scan, *binaries):
    return list(scan.fat_binaries(b"\x7fELF padding" + b"\0\0\0".join(binaries)))


def test_fat_binaries_are_found_among_other_bytes(scan):
    """Images of both kinds, one after the other; the magic number alone, or one that is cut short, is none."""
    real = fat_binary(cubin(75), cubin(90, 0x102011), ptx(120, (8, 8), 0x202011))
    cut = fat_binary(cubin(80))[:-1]
    (found,) = library(scan, b"\x50\xed\x55\xba", real, cut)
    assert found == {
        scan.Image(scan.MACHINE_CODE, (7, 5)),
        scan.Image(scan.MACHINE_CODE, (9, 0), "a"),
        scan.Image(scan.PTX, (12, 0), "f", (8, 8)),
    }


@pytest.mark.parametrize(
    ("kind", "code", "suffix", "runs", "not_on"),
    [
        (2, (8, 0), "", [(8, 0), (8, 9)], [(7, 5), (9, 0)]),
        (2, (8, 6), "", [(8, 6), (8, 9)], [(8, 0)]),
        (2, (9, 0), "a", [(9, 0)], [(10, 0)]),
        (2, (12, 0), "f", [(12, 0), (12, 1)], [(13, 0)]),
        (1, (9, 0), "", [(9, 0), (12, 0)], [(8, 9)]),
        (1, (12, 0), "f", [(12, 1)], [(13, 0)]),
        (1, (9, 0), "a", [(9, 0)], [(10, 0)]),
    ],
)
def test_where_code_runs(scan, kind, code, suffix, runs, not_on):
    """Machine code within its major version, PTX from its version on; "a" and "f" are not carried further."""
    found = scan.Image(kind, code, suffix)
    assert [found.runs_on(capability) for capability in runs + not_on] == [True] * len(runs) + [False] * len(not_on)


def test_a_package_has_what_each_of_its_libraries_has(scan):
    """The engines of cuDNN have code for 7.0, its other operations do not."""
    engines = library(scan, fat_binary(cubin(70)), fat_binary(cubin(75)), fat_binary(cubin(80)))
    operations = library(scan, fat_binary(cubin(75), cubin(80)))
    code = scan.device_code([engines, operations])
    assert (code["machine_code"], code["ptx"]) == (["7.5", "8.0"], None)


def test_kernels_that_are_mostly_ptx_are_compiled(scan):
    """TensorFlow has machine code of 9.0 for a few of its kernels, and PTX for all, of two versions of the language."""
    few = fat_binary(cubin(80), cubin(90), ptx(90, (8, 3)))
    most = fat_binary(cubin(80), ptx(90))
    code = scan.device_code([library(scan, few, most, most)])
    assert code == {"machine_code": ["8.0"], "ptx": "9.0", "ptx_version": "8.5"}


def test_one_kernel_of_ptx_does_not_count(scan):
    """cuBLAS has one fat binary that is nothing but PTX, of any version; the other kernels need no compiler."""
    code = scan.device_code([library(scan, fat_binary(ptx(52)), fat_binary(cubin(80)), fat_binary(cubin(80)))])
    assert code == {"machine_code": ["8.0"], "ptx": None, "ptx_version": None}


def test_a_wheel_is_read(scan, tmp_path):
    """Its libraries, but not its other files, nor libraries without code for GPUs."""
    with zipfile.ZipFile(tmp_path / "some.whl", "w") as wheel:
        wheel.writestr("lib/libone.so.9", fat_binary(cubin(75)))
        wheel.writestr("lib/libnone.so", b"\x7fELF")
        wheel.writestr("lib/libempty.so", b"")
        wheel.writestr("lib/notes.txt", fat_binary(cubin(80)))
    assert scan.device_code(scan.read_wheel(tmp_path / "some.whl"))["machine_code"] == ["7.5"]


def test_the_table_is_what_the_script_writes(scan):
    """The committed file has the script's keys, for the script's packages."""
    table = json.loads(scan.TABLE.read_text(encoding="utf-8"))
    assert list(table) == list(scan.PACKAGES)
    assert all(set(code) == {"version", *scan.device_code([])} for code in table.values())
