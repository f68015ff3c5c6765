"""How much memory training has."""

import resource
import subprocess
import sys

import pytest

from app.machine import gpus, memory

LISTED = "0, GPU-aa, NVIDIA L4, 8.9, 570.1\n1, GPU-bb, NVIDIA T4, 7.5, 570.1\n"
SIZES = "GPU-aa, 23034\nGPU-bb, 15360\n"


def driver(argv):
    """nvidia-smi with an L4 and a T4."""
    return SIZES if argv == memory.QUERY else LISTED if argv == gpus.QUERY else None


def test_smallest_gpu():
    """Of several GPUs the smallest is the bound; those that are hidden do not count."""
    assert memory.training_memory(driver, {}) == memory.Memory(15360 << 20, "GPU")
    assert memory.training_memory(driver, {"CUDA_VISIBLE_DEVICES": "0"}) == memory.Memory(23034 << 20, "GPU")


def test_host(tmp_path):
    """Without a visible GPU it is the host's, or less where the container has a limit."""
    assert memory.training_memory(driver, {"CUDA_VISIBLE_DEVICES": "-1"}).of == "host"
    assert memory.training_memory(lambda argv: None, {}).of == "host"
    limit = tmp_path / "memory.max"
    limit.write_text("1000000\n")
    assert memory.host_memory((tmp_path, tmp_path / "absent")) == 1_000_000
    limit.write_text("max\n")
    assert memory.host_memory((tmp_path,)) > 1_000_000


@pytest.mark.parametrize(
    ("names", "cached"),
    [
        (("memory.max", "memory.current"), "anon 5\ninactive_file 300\nactive_file 20\n"),
        (
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
            "cache 1\ninactive_file 1\ntotal_cache 400\ntotal_inactive_file 300\ntotal_active_file 20\n",
        ),
    ],
    ids=["v2", "v1"],
)
def test_free_memory_of_a_cgroup(tmp_path, names, cached):
    """What is left of its limit, with the files that it has in memory: they make room."""
    for name, text in zip((*names, "memory.stat"), ("1000\n", "700\n", cached), strict=True):
        (tmp_path / name).write_text(text)
    assert memory.free_memory((tmp_path,)) == 1000 - 700 + 320
    (tmp_path / names[0]).write_text("600\n")
    assert memory.free_memory((tmp_path,)) == 220
    assert memory.free_memory(()) > 1_000_000


@pytest.mark.parametrize(
    ("line", "folder"),
    [("0::/a/b\n", "a/b"), ("9:cpu:/x\n4:memory:/a/b\n0::/\n", "memory/a/b"), ("0::/../b\n", ""), ("", "")],
    ids=["v2", "v1", "beyond a container's root", "none"],
)
def test_own_cgroup_and_those_around_it(tmp_path, line, folder):
    """A limit of any of them holds; one that can't be seen from here is left out."""
    (tmp_path / "cgroup").write_text(line)
    root = tmp_path / "root"
    (root / folder).mkdir(parents=True)
    found = memory.cgroup_folders(tmp_path / "cgroup", root)
    assert found[0] == root / folder and root in found
    assert all(path == root or root in path.parents for path in found)


def test_a_process_limit_bounds_training_memory_and_a_share_of_it_can_be_kept():
    """As `ulimit -v` and `ulimit -d` set it."""
    code = (
        "import resource\nfrom app.machine import memory\n"
        "print(memory.training_memory(lambda argv: None).size, memory.process_limits())\n"
        "memory.lower_process_limits(0.5)\nprint(memory.process_limits(), resource.getrlimit(resource.RLIMIT_DATA)[1])"
    )
    limit = 3 << 30
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        f"{limit} {{'RLIMIT_DATA': {limit}}}",
        f"{{'RLIMIT_DATA': {limit // 2}}} {limit}",
    ]
