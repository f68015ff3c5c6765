"""Small videos for tests, made with PyAV: a red rectangle that moves to the right by a pixel a frame."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = Fraction(24000, 1001)
IDENTITY = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
CLOCKWISE = (0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
"""Matrices of an MP4's track header: as filmed, and to be shown turned by 90 degrees."""


def write_video(
    path: Path, *, frames=12, size=(80, 60), box=(10, 20, 30, 50), rate=RATE, codec="libx264", options=None
) -> Path:
    """A video of `size` (width, height); `box` (ymin, xmin, ymax, xmax in pixels) is where the red is at first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options={"crf": "5"} if codec == "libx264" else {})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            pixels = np.full((size[1], size[0], 3), 120, np.uint8)
            pixels[box[0] : box[2], box[1] + number : box[3] + number] = (255, 0, 0)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def turn(path: Path) -> Path:
    """Has an MP4 be shown turned clockwise, as one from a telephone held upright."""
    upright, turned = (b"".join(value.to_bytes(4, "big", signed=True) for value in m) for m in (IDENTITY, CLOCKWISE))
    data = path.read_bytes()
    assert data.count(upright) == 2
    place = data.rindex(upright)
    path.write_bytes(data[:place] + turned + data[place + len(turned) :])
    return path


def frames_of(path: Path) -> list[np.ndarray]:
    """The frames of a video as uint8 [height, width, 3]."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
