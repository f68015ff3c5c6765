"""Output whose reader goes away."""

import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app import log

ROOT = Path(__file__).parents[2]


@pytest.fixture
def closed_pipe():
    """The writing end of a pipe that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.fixture
def closed_terminal():
    """A terminal whose other end is closed."""
    master, slave = pty.openpty()
    os.close(master)
    return slave


@pytest.mark.parametrize("kind", ["closed_pipe", "closed_terminal"])
def test_what_nobody_reads_goes_to_the_log(request, tmp_path, kind):
    """The line that failed too, and what children and native code write to the same descriptor."""
    handle, path = request.getfixturevalue(kind), tmp_path / "logs" / "up.log"
    stream = log._lasting_stream(handle, path, "utf-8", "strict")
    assert not stream.isatty()
    print("für den Bericht", file=stream)
    os.write(handle, b"native\n")
    assert path.read_text("utf-8") == "für den Bericht\nnative\n"
    os.close(handle)


def test_a_drawing_is_nothing_for_a_log(closed_terminal, tmp_path):
    """A panel that was being drawn when the terminal went is dropped."""
    stream = log._lasting_stream(closed_terminal, tmp_path / "up.log", "utf-8", "strict")
    print("\x1b[2K╭──╮", file=stream)
    print("a line", file=stream)
    assert (tmp_path / "up.log").read_text() == "a line\n"
    os.close(closed_terminal)


def test_without_a_place_for_a_log_it_is_dropped(closed_pipe, tmp_path):
    """Writing never fails for a reader that has gone."""
    (tmp_path / "logs").touch()
    stream = log._lasting_stream(closed_pipe, tmp_path / "logs" / "up.log", "utf-8", "strict")
    print("a line", file=stream)
    os.close(closed_pipe)


def test_a_full_disk_is_an_error_as_before():
    """Only a reader that has gone is none."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb", buffering=0) as full:
        stream = log._lasting_stream(full.fileno(), Path("unused"), "utf-8", "strict")
        with pytest.raises(OSError, match="space"):
            print("a line", file=stream)


def test_a_view_shows_the_lines_until_it_ends(monkeypatch):
    """As one line each, whatever is in them; afterwards they go where they went."""
    ours, shown = logging.getLogger("app"), []
    monkeypatch.setattr(ours, "handlers", before := [logging.NullHandler()])
    as_before = log.show_by(shown.append)
    logging.getLogger("app.services").warning("a %s", "b\nc")
    as_before()
    logging.getLogger("app.services").warning("not shown")
    assert shown == ["a b\\nc"]
    assert ours.handlers == before


def test_the_streams_of_a_process(tmp_path):
    """Stdout and stderr go on as they were while somebody reads, and both go to the log afterwards."""
    program = (
        "import sys; from pathlib import Path; from app import log; log.outlive_readers(Path(sys.argv[1]));"
        "print('1'); print('2', file=sys.stderr); sys.stdin.read(); print('3'); print('4', file=sys.stderr)"
    )
    pipe = subprocess.PIPE
    argv = [sys.executable, "-c", program, str(tmp_path / "x.log")]
    with subprocess.Popen(argv, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert (process.stdout.readline(), process.stderr.readline()) == (b"1\n", b"2\n")
        process.stdout.close(), process.stderr.close(), process.stdin.close()
        assert process.wait(timeout=20) == 0
    assert (tmp_path / "x.log").read_text() == "3\n4\n"


def test_lines_in_a_file_have_the_time(tmp_path):
    """Who reads a log later wants to know when; a terminal or a pipe of an engine, which stamps itself, gets none."""
    code = "import logging; from app import log; log.set_up(); logging.getLogger('app.x').info('a line')"
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    with open(tmp_path / "log", "w") as file:
        subprocess.run([sys.executable, "-c", code], env=environ, stderr=file, check=True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} a line\n", (tmp_path / "log").read_text())
    piped = subprocess.run([sys.executable, "-c", code], env=environ, stderr=subprocess.PIPE, check=True, text=True)
    assert piped.stderr == "a line\n"
