"""The signs that memory ran out."""

import errno
import os

import pytest

from app.machine import out_of_memory


class ResourceExhaustedError(Exception):
    """Has the name of TensorFlow's, as the others below."""


class InternalError(Exception):
    """As XLA and CUDA's libraries raise it."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ResourceExhaustedError("anything"),
        InternalError("CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
        InternalError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 12 bytes"),
        InternalError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("can't start new thread"),
        ImportError("libtensorflow.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    ],
    ids=str,
)
def test_out_of_memory(error):
    """Whoever says so."""
    assert out_of_memory.is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("out of memory"),
        InternalError("no"),
        OSError(errno.ENOSPC, "No space left"),
        ResourceExhaustedError("/models/r/.ckpt-5/part; No space left on device"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_another_error(error):
    """The words alone are not enough: a class may be called so."""
    assert not out_of_memory.is_out_of_memory(error)


def test_kills_are_counted_by_cgroups_and_without_any_by_the_host(tmp_path):
    """Another container's are not ours."""
    host, v1, v2 = tmp_path / "vmstat", tmp_path / "v1", tmp_path / "v2"
    for folder in (v1, v2):
        folder.mkdir()
    host.write_text("nr_free 5\noom_kill 40\n")
    assert out_of_memory.count_kills((v1, v2), host) == 40
    (v1 / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    (v2 / "memory.events").write_text("oom 9\noom_kill 1\noom_group_kill 7\n")
    assert out_of_memory.count_kills((v1, v2), host) == 3
    assert out_of_memory.count_kills((), tmp_path / "absent") == 0
