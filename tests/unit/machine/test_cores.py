"""The cores that a process may use, in containers too."""

import pytest

from app.machine.cores import usable_cores


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "20000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "nonsense"}, None),
        ({"cpu.max": "9900000 100000\n"}, None),
    ],
)
def test_a_quota_counts(files, quota, tmp_path):
    """Both versions of cgroups; a quota above the cores there are is none, a part of a core is one."""
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert usable_cores(tmp_path) == (quota or usable_cores(tmp_path / "none"))
