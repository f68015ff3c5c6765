"""What was found on a video: drawn frames as a video, a line of CSV a box."""

import csv
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.detection.annotator import Annotator
from app.detection.loader import Loaded
from app.detection.results import label_of
from app.detection.video import Frame, VideoReader, VideoWriter
from app.progress import Progress
from app.run.files import replacing

COLUMNS = ("frame", "time", "class_id", "class", "score", "xmin", "ymin", "xmax", "ymax")


@dataclass
class VideoDetections:
    """A video that was looked at. `drawn` and `table`: names of the drawn video and of its boxes' CSV.

    `rate`: frames a second. `width`, `height`: pixels, as players show it. `classes`: detections by class id.
    `fault`: what of the file could not be read; empty if nothing.
    """

    file_name: str
    drawn: str
    table: str
    width: int = 0
    height: int = 0
    frames: int = 0
    rate: float = 0.0
    classes: Counter[int] = field(default_factory=Counter)
    fault: str = ""


def detect_video(
    path: Path,
    name: str,
    drawn: str,
    *,
    detector: Loaded,
    annotator: Annotator,
    names: Mapping[int, str],
    folder: Path,
    batch_size: int,
    progress: Progress,
) -> VideoDetections:
    """Detects on every frame of the video at `path`, and writes `drawn` and `drawn`.csv into `folder`.

    A batch of frames is in memory at a time. `progress` counts frames. Raises UnusableVideo, with neither file left.
    """
    made = VideoDetections(name, drawn, f"{drawn}.csv")
    (folder / drawn).parent.mkdir(parents=True, exist_ok=True)
    with (
        VideoReader(path) as reader,
        replacing(folder / made.drawn) as video,
        replacing(folder / made.table) as table,
        VideoWriter(video, reader.rate, reader.time_base) as writer,
        open(table, "w", newline="", encoding="utf-8") as lines,
    ):
        rows = csv.writer(lines, lineterminator="\n")
        rows.writerow(COLUMNS)
        made.rate = round(float(reader.rate), 3)
        for batch in _batches(reader, batch_size):
            for frame, found in zip(batch, detector.detect([frame.pixels for frame in batch]), strict=True):
                kept, image = annotator.annotate(frame.pixels, found, enlarge=False)
                writer.add(image, frame.seconds)
                for one in kept:
                    label = label_of(one.class_id, names)
                    rows.writerow([frame.number, frame.seconds, one.class_id, label, one.score, *one.box])
                    made.classes[one.class_id] += 1
                if not frame.number:
                    made.height, made.width = frame.pixels.shape[:2]
            made.frames = batch[-1].number + 1
            progress(made.frames, max(reader.expected, made.frames))
    made.fault = reader.fault
    return made


def _batches(frames: VideoReader, size: int) -> Iterator[list[Frame]]:
    left = iter(frames)
    while batch := list(itertools.islice(left, size)):
        yield batch
