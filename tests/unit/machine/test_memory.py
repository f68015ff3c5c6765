"""How much memory training has."""

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
    assert memory.host_memory((str(limit), str(tmp_path / "absent"))) == 1_000_000
    limit.write_text("max\n")
    assert memory.host_memory((str(limit),)) > 1_000_000
