"""Videos, frame by frame."""

import av
import numpy as np
import pytest
from PIL import Image
from videos import RATE, frames_of, turn, write_video

from app.detection.video import UnusableVideo, VideoReader, VideoWriter


def is_red(pixels):
    return (pixels[..., 0] > 200) & (pixels[..., 1] < 80)


def test_frames_in_order(tmp_path):
    """Each has its number from 0, the seconds since the first and its own pixels."""
    with VideoReader(write_video(tmp_path / "a.mp4")) as reader:
        frames = list(reader)
        assert (reader.rate, reader.expected, reader.fault) == (RATE, 12, "")
    assert [frame.number for frame in frames] == list(range(12))
    assert [frame.seconds for frame in frames] == pytest.approx(
        [number / float(RATE) for number in range(12)], abs=1e-5
    )
    for frame in frames:
        assert frame.pixels.shape == (60, 80, 3) and frame.pixels.dtype == np.uint8
        rows, columns = np.nonzero(is_red(frame.pixels))
        assert np.allclose((rows.min(), columns.min()), (10, 20 + frame.number), atol=1)


def test_rotation_is_honoured(tmp_path):
    """Filmed on its side, shown upright: what was at the left is at the top, what was at the top is at the right."""
    with VideoReader(turn(write_video(tmp_path / "a.mp4", box=(0, 0, 20, 30)))) as reader:
        first = next(iter(reader)).pixels
    assert first.shape == (80, 60, 3)
    rows, columns = np.nonzero(is_red(first))
    assert np.allclose((rows.min(), rows.max(), columns.min(), columns.max()), (0, 29, 40, 59), atol=1)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.mpg", "mpeg2video"), ("a.ts", "libx264")]
)
def test_containers(tmp_path, name, codec):
    """Whatever FFmpeg reads; times count from the first frame, wherever the stream's clock begins."""
    with VideoReader(write_video(tmp_path / name, codec=codec)) as reader:
        frames = list(reader)
    assert len(frames) == 12 and frames[0].seconds == 0
    assert frames[-1].seconds == pytest.approx(11 / float(RATE), abs=2e-3)


@pytest.mark.parametrize("data", [b"", b"hello", b"\0\0\0\x18ftypmp42" + bytes(60)])
def test_no_video(tmp_path, data):
    """What can't be opened says why, in a line."""
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    with pytest.raises(UnusableVideo) as caught, VideoReader(path) as reader:
        list(reader)
    assert str(caught.value) and "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    """So does one that is not there."""
    with pytest.raises(UnusableVideo, match="No such file"):
        VideoReader(tmp_path / "a.mp4")


def test_sound_alone(tmp_path):
    """A file without pictures is none."""
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(UnusableVideo, match="no video"):
        VideoReader(tmp_path / "a.mp4")


def test_cut_short(tmp_path):
    """A file whose end is missing gives the frames that are there, and says so where it knows of more."""
    path = write_video(tmp_path / "a.mp4", frames=120, size=(320, 240), options={"movflags": "+faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with VideoReader(path) as reader:
        assert 10 < len(list(reader)) < 120
    assert reader.fault


@pytest.mark.parametrize("size", [(80, 60), (81, 61), (640, 480)])
def test_written_and_read(tmp_path, size):
    """What is written has the size, the number of frames and their rate, odd sides too."""
    source, target = write_video(tmp_path / "a.mp4"), tmp_path / "b.mp4"
    with VideoReader(source) as reader, VideoWriter(target, reader.rate, reader.time_base) as writer:
        for frame in reader:
            writer.add(Image.fromarray(frame.pixels).resize(size), frame.seconds)
    with VideoReader(target) as reader:
        times = [frame.seconds for frame in reader]
        assert reader.rate == RATE
    assert times == pytest.approx([number / float(RATE) for number in range(12)], abs=1e-5)
    assert {frame.shape for frame in frames_of(target)} == {(size[1], size[0], 3)}


def test_without_h264(tmp_path, monkeypatch):
    """A build of FFmpeg that can't write H.264 writes MPEG-4, with times within its thousandths."""
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    source, target = write_video(tmp_path / "a.ts"), tmp_path / "b.mp4"
    with VideoReader(source) as reader, VideoWriter(target, reader.rate, reader.time_base) as writer:
        for frame in reader:
            writer.add(Image.fromarray(frame.pixels), frame.seconds)
    with VideoReader(target) as reader:
        assert [frame.seconds for frame in reader][-1] == pytest.approx(11 / float(RATE), abs=2e-3)
