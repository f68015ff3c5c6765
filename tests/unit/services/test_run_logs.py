"""Logs as they grow, and how large they may be."""

import subprocess
import sys

from app.services.run_logs import LogTail, bound


def test_the_last_lines_then_what_comes(tmp_path):
    """A line counts when it is whole; a log may come into being later."""
    path = tmp_path / "trainer.log"
    late = LogTail(path, count=3)
    assert late.read() == []
    path.write_bytes(b"".join(b"line %d\n" % number for number in range(1000)))
    tail = LogTail(path, count=3)
    assert tail.read() == ["line 997", "line 998", "line 999"]
    with open(path, "ab") as file:
        file.write("Maß".encode() + b"\nhal")
        file.flush()
        assert tail.read() == ["Maß"]
        file.write(b"f\r\n")
        file.flush()
        assert tail.read() == ["half"]
    assert len(late.read()) == 1002


def test_lines_from_a_byte_on(tmp_path):
    """All that one start has written, however long."""
    path = tmp_path / "up.log"
    path.write_text("before\n")
    tail = LogTail(path, start=path.stat().st_size)
    with open(path, "a") as file:
        file.write("x" * 100_000 + "\nafter\n")
    assert [len(line) for line in tail.read()] == [100_000, 5]


def test_a_log_is_bounded_under_its_writer(tmp_path):
    """The writer has it open and goes on; who follows it misses nothing that comes later."""
    path = tmp_path / "trainer.log"
    program = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
    with open(path, "ab") as output:
        writer = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=output, text=True, bufsize=1
        )
    tail = LogTail(path, start=0)

    def write(text):
        writer.stdin.write(text + "\n")
        while not (lines := tail.read()):
            pass
        return lines

    assert write("first " + "x" * 500)[0].startswith("first")
    assert not bound(path, 1000)
    assert bound(path, 100)
    assert write("second") == ["second"]
    assert path.read_text() == "second\n"
    assert (tmp_path / "trainer.log.1").read_text().startswith("first")
    writer.communicate()


def test_no_log_is_within_bounds(tmp_path):
    """A service that has not started has none."""
    assert not bound(tmp_path / "none.log")
