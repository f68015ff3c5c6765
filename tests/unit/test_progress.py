"""Progress on a terminal and without one."""

import logging
import os
import sys
from pathlib import Path

import pytest
from pseudo_terminal import PseudoTerminal

from app.progress import Lines, live


@pytest.fixture(autouse=True)
def logged(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("app"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("app"), "handlers", [])
    with caplog.at_level(logging.INFO):
        yield


def test_a_line_every_quarter_of_a_minute_with_the_time_left(caplog):
    """At the rate since the start."""
    times = iter([0.0, 1.0, 20.0, 21.0, 40.0])
    report = Lines("images", clock=lambda: next(times))
    for done in (1, 20, 21, 40):
        report(done, 100)
    assert caplog.messages == ["images | 20 of 100 | 1:20 left", "images | 40 of 100 | 1:00 left"]


def test_bytes_have_a_rate_and_may_go_on_from_a_part(caplog):
    """What was there before the first call says nothing of the rate; the whole may be unknown."""
    now = [0.0]
    report = Lines("model", in_units_of_bytes=True, clock=lambda: now[0])
    for second, of in ((0, 40_000_000), (10, 40_000_000), (20, 40_000_000), (40, 0)):
        now[0] = second
        report(10_000_000 + second * 1_000_000, of)
    assert caplog.messages == [
        "model | 30.0 MB of 40.0 MB | 1.0 MB/s | 10 s left",
        "model | 50.0 MB | 1.0 MB/s",
    ]


def test_what_is_being_done_is_a_line_an_interval(caplog, monkeypatch):
    """However often it is said."""
    monkeypatch.setattr("app.progress.LINE_SECONDS", 0.0)
    with live("batch size") as show:
        show("4 images: step 1")
        monkeypatch.setattr("app.progress.LINE_SECONDS", 60.0)
        show("4 images: step 2")
    assert caplog.messages == ["batch size | 4 images: step 1"]


def test_on_a_terminal_it_is_one_line():
    """That shows what is done now, whatever characters it has."""
    code = "import time\nfrom app.progress import live\nwith live('size [x]') as say:\n  say('step 1'); time.sleep(0.5)"
    terminal = PseudoTerminal([sys.executable, "-c", code], {**os.environ, "TERM": "xterm"}, Path(__file__).parents[2])
    terminal.show_until(lambda: terminal.code() is not None, seconds=30)
    terminal.close()
    assert terminal.code() == 0 and "size [x] | step 1" in terminal.screen
