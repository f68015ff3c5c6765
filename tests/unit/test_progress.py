"""Progress where there is no terminal."""

import logging

import pytest

from app.progress import Lines


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
