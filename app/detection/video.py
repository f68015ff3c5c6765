"""Videos, read and written frame by frame."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import cast

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

ENCODERS = ("libx264", "mpeg4")
"""H.264, which every player and browser shows, else what every build of FFmpeg can write."""
FINEST = Fraction(1, 60000)
"""MPEG-4 counts time in at most 65535 parts of a second."""
DEFAULT_RATE = Fraction(25)
"""Frames a second of a stream that does not tell."""


@dataclass(frozen=True)
class Frame:
    """One frame: its number from 0, seconds since the first, uint8 pixels [height, width, 3] as players show them."""

    number: int
    seconds: float
    pixels: np.ndarray


class UnusableVideo(Exception):
    """No frame can be read from the file; the text says why."""


class VideoReader:
    """The frames of a file's first video stream, in the order in which they are shown.

    `rate`: frames a second on average. `expected`: how many frames there should be, 0 where that is not known.
    `fault`: once all are read, what of the file could not be read; empty if nothing.
    """

    def __init__(self, path: Path):
        """Raises UnusableVideo."""
        try:
            self._container = av.open(str(path), metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as error:
            raise UnusableVideo(_reason(error)) from None
        if not self._container.streams.video:
            self._container.close()
            raise UnusableVideo("has no video stream")
        stream = self._stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        self.rate = Fraction(stream.average_rate or stream.guessed_rate or DEFAULT_RATE)
        self.time_base = Fraction(stream.time_base or 1 / self.rate)
        self.expected = stream.frames or round((self._container.duration or 0) / av.time_base * self.rate)
        self.fault = ""

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yields every frame that can be decoded. Raises UnusableVideo if there is none."""
        number, first, seconds = 0, None, 0.0
        for frame in self._decoded():
            first = frame.time if first is None else first
            known = frame.time is not None and first is not None
            seconds = frame.time - first if known else float(number / self.rate)
            yield Frame(number, round(seconds, 6), _upright(frame))
            number += 1
        if not number:
            raise UnusableVideo(self.fault or "has no frames")
        if not self.fault and number < self._stream.frames:
            self.fault = f"ends after {number} of {self._stream.frames} frames"

    def _decoded(self) -> Iterator[VideoFrame]:
        """What is damaged is passed over, as players do."""
        packets = self._container.demux(self._stream)
        damaged = 0
        while True:
            try:
                packet = next(packets)
                frames = packet.decode()
            except StopIteration:
                break
            except av.FFmpegError as error:
                damaged += 1
                self.fault = f"{_reason(error)}, in {damaged} places"
                if not isinstance(error, av.InvalidDataError):
                    return
                continue
            yield from frames


class VideoWriter:
    """An MP4 of drawn frames, with the times of the video that was read and without its sound."""

    def __init__(self, path: Path, rate: Fraction, time_base: Fraction):
        """`rate`: frames a second; `time_base`: seconds, of which a frame's time is a multiple."""
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._encoder = next(name for name in ENCODERS if name in av.codecs_available)
        self._rate, self._last = rate, -1
        self._time_base = time_base if self._encoder == ENCODERS[0] else max(time_base, FINEST)
        self._stream: VideoStream | None = None

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._stream:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()

    def add(self, image: Image.Image, seconds: float) -> None:
        """Writes a frame, `seconds` after the first. The first one's size is that of the video."""
        stream = self._stream = self._stream or self._started(image.size)
        if image.size != (stream.width, stream.height):
            image = image.resize((stream.width, stream.height))
        frame = VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
        # Two frames of one time are refused by the encoder.
        frame.pts = self._last = max(round(Fraction(seconds) / self._time_base), self._last + 1)
        frame.time_base = self._time_base
        self._container.mux(stream.encode(frame))

    def _started(self, size: tuple[int, int]) -> VideoStream:
        options = {"crf": "20", "preset": "veryfast"} if self._encoder == ENCODERS[0] else {"qscale": "3"}
        stream = cast(VideoStream, self._container.add_stream(self._encoder, rate=self._rate, options=options))
        stream.width, stream.height = size
        # With its colours at half the size an H.264 has even sides.
        stream.pix_fmt = "yuv420p" if self._encoder != ENCODERS[0] or not any(side % 2 for side in size) else "yuv444p"
        stream.codec_context.time_base = self._time_base
        return stream


def _upright(frame: VideoFrame) -> np.ndarray:
    """Turned as the file says that it is to be shown: telephones film on their side."""
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
