"""`detect`: images and videos become drawn ones, COCO-style JSON and CSV."""

import contextlib
import itertools
import logging
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app import host_paths
from app.checkpoint import Checkpoint
from app.detection import batching, image_paths, results
from app.detection.annotator import Annotator
from app.detection.detections import Detections
from app.detection.image_paths import ImageFile, Skipped
from app.detection.loader import Loaded
from app.detection.resolver import ResolvedDetector, resolve_detector
from app.errors import DatasetError, SettingsError
from app.humanize import list_names
from app.odapi.models import load_detector
from app.run.directory import Run, find_run
from app.run.files import read_object, refuse_foreign, replacing, write_json, write_text
from app.run.lenient_json import mapping
from app.settings import Settings, flag

if TYPE_CHECKING:
    from app.detection.video_detections import VideoDetections

logger = logging.getLogger(__name__)

JSON, CSV = "detections.json", "detections.csv"
DESCRIPTION = "detections by detbox"
"""Tells a folder that `detect` wrote, and may replace, from any other."""
SKIPPED_SHOWN, EXAMPLES_SHOWN = 10, 3
"""Reasons why files were skipped, and files of each; all are in the JSON."""


@dataclass(frozen=True)
class Detected:
    """What `detect` wrote. `classes` counts detections by name; `thresholds` has the score that each class needed."""

    folder: str
    detector: str
    images: int
    videos: int
    frames: int
    detections: int
    classes: dict[str, int]
    thresholds: dict[str, float]
    skipped: list[Skipped]
    seconds: float

    def __str__(self) -> str:
        each = ", ".join(f"{name} {count}" for name, count in self.classes.items())
        values = sorted(set(self.thresholds.values()))
        scores = f"{values[0]:.2f}" + (f" to {values[-1]:.2f} by class" if len(values) > 1 else "") if values else ""
        rate = (self.images + self.frames) / self.seconds if self.seconds else 0
        looked = [f"{self.images} images"] if self.images or not self.videos else []
        looked += [f"{self.frames} frames of {self.videos} videos"] if self.videos else []
        drawn = ["drawn images"] if self.images or not self.videos else []
        drawn += ["drawn videos with a CSV each"] if self.videos else []
        rows = [
            ("found", f"{self.detections} on {' and '.join(looked)}" + (f": {each}" if each else "")),
            ("score", f"from {scores}" if scores else "nothing was found at any score"),
            ("by", f"{self.detector}, {rate:.1f} images/s"),
            ("written", f"{self.folder}: {', '.join([*drawn, JSON, CSV])}"),
        ]
        reasons: dict[str, list[str]] = {}
        for skip in self.skipped:
            reasons.setdefault(skip.reason, []).append(skip.file)
        rows += [("skipped", _skipped(reason, files)) for reason, files in list(reasons.items())[:SKIPPED_SHOWN]]
        if len(reasons) > SKIPPED_SHOWN:
            rows.append(("", f"and more, listed in {JSON}"))
        return "\n".join(f"{name:<8} {text}" for name, text in rows)


def _skipped(reason: str, files: Sequence[str]) -> str:
    if len(files) == 1:
        return f"{files[0]}: {reason}"
    return f"{len(files)} x {reason}: {list_names(files, EXAMPLES_SHOWN)}"


def run(settings: Settings) -> Detected:
    """Detects on the files that `input` names and writes what was found to a folder, which appears as a whole."""
    run = find_run(settings.models_dir, settings.run_name)
    target = _target(settings, run)
    files, skipped = _files(settings.input, target)
    resolved = _resolve(settings, run)
    with _whole(target) as folder:
        annotator = Annotator(resolved, settings.score_threshold)
        work = Work(resolved, annotator, folder, skipped, settings.max_image_pixels)
        drawn = image_paths.drawn_names(file.name for file in files)
        pairs = list(zip(drawn, files, strict=True))
        started = time.monotonic()
        looked = work.images({name: file for name, file in pairs if not file.is_video}, settings.detect_batch_size)
        videos = list(work.videos({name: file for name, file in pairs if file.is_video}, settings.detect_batch_size))
        seconds = time.monotonic() - started
        if not looked and not videos:
            raise _nothing(skipped)
        found = Counter(one.class_id for image in looked for one in image.found)
        found.update(itertools.chain.from_iterable(video.classes.elements() for video in videos))
        result = Detected(
            folder=str(target),
            detector=resolved.description,
            images=len(looked),
            videos=len(videos),
            frames=sum(video.frames for video in videos),
            detections=found.total(),
            classes={resolved.name(number): count for number, count in found.most_common()},
            thresholds={resolved.name(number): score for number, score in sorted(annotator.thresholds.items())},
            skipped=skipped,
            seconds=round(seconds, 2),
        )
        _write(folder, result, looked, videos, resolved)
    return result


def _resolve(settings: Settings, run: Run) -> ResolvedDetector:
    return resolve_detector(
        run,
        _load,
        detector=settings.detector,
        server=settings.server,
        served_model=settings.serving_name or settings.run,
        label_map=settings.label_map,
        run_is_named=bool(settings.run),
    )


def _load(path: Path, checkpoint: Checkpoint | None) -> Loaded:
    """On the GPU if there is one."""
    if checkpoint:
        return load_detector(checkpoint, use_gpu=True)
    from app.odapi import runtime

    runtime.start(use_gpu=True)
    from app.detection import loader

    return loader.load(path)


class Work:
    """Detection on file after file: read, detect, draw."""

    def __init__(
        self, resolved: ResolvedDetector, annotator: Annotator, folder: Path, skipped: list[Skipped], max_pixels: int
    ):
        """`skipped` gets what can't be read, or has more than `max_pixels`."""
        self._max_pixels = max_pixels
        self._resolved, self._annotator, self._folder, self._skipped = resolved, annotator, folder, skipped

    def images(self, images: Mapping[str, ImageFile], batch_size: int) -> list[results.ImageDetections]:
        """What was found on each of `images` (by the name of the drawn one) that could be read, in their order."""
        from app import progress as bars

        looked: dict[str, results.ImageDetections] = {}
        with bars.shown("detect") as report:
            for names, batch in batching.batches(self._readable(images), batch_size):
                for drawn, pixels, found in zip(names, batch, self._resolved.detector.detect(batch), strict=True):
                    looked[drawn] = self._look(images[drawn].name, drawn, pixels, found)
                report(len(looked), len(images))
        return [looked[drawn] for drawn in images if drawn in looked]

    def videos(self, videos: Mapping[str, ImageFile], batch_size: int) -> Iterator["VideoDetections"]:
        """What was found on each of `videos` (by the name of the drawn one) that could be read."""
        if not videos:
            return
        from app import progress as bars
        from app.detection.video import UnusableVideo
        from app.detection.video_detections import detect_video

        for drawn, video in videos.items():
            try:
                with bars.shown(f"detect | {video.name}") as report:
                    made = detect_video(
                        video.path, video.name, drawn,
                        detector=self._resolved.detector, annotator=self._annotator, names=self._resolved.names,
                        folder=self._folder, batch_size=batch_size, progress=report,
                    )  # fmt: skip
            except UnusableVideo as error:
                self._skipped.append(Skipped(str(video.path), f"video not readable: {error}"))
            else:
                if made.fault:
                    self._skipped.append(Skipped(str(video.path), f"read in part: {made.fault}"))
                yield made

    def _readable(self, images: Mapping[str, ImageFile]) -> Iterator[tuple[str, np.ndarray]]:
        from app.dataset import image_file

        for drawn, image in images.items():
            try:
                yield drawn, image_file.read_pixels(image.path, image.name, self._max_pixels)
            except image_file.UnusableImage as error:
                reason = f"{error.fault.kind}: {error.fault.detail}" if error.fault.detail else error.fault.kind
                self._skipped.append(Skipped(str(image.path), reason))

    def _look(self, name: str, drawn: str, pixels: np.ndarray, detections: Detections) -> results.ImageDetections:
        found, canvas = self._annotator.annotate(pixels, detections)
        path = self._folder / drawn
        path.parent.mkdir(parents=True, exist_ok=True)
        canvas.save(path, quality=90)
        height, width = pixels.shape[:2]
        return results.ImageDetections(name, width, height, drawn, found)


@contextlib.contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A folder to write to, which takes the place of `target` if the block ends well and goes away if not."""
    if not target.is_dir() or (os.access(target.parent, os.W_OK) and not os.path.ismount(target)):
        with replacing(target) as folder:
            folder.mkdir()
            yield folder
        return
    # A folder that is mounted into a container can't be renamed: what is in it is replaced.
    staging = Path(tempfile.mkdtemp(prefix=".detected.", dir=target))
    try:
        yield staging
        for old in [path for path in target.iterdir() if path != staging]:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        for new in list(staging.iterdir()):
            new.rename(target / new.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _target(settings: Settings, run: Run) -> Path:
    """The folder to write: as given, else the run's where a run detects or is named, else `detected`."""
    if settings.output:
        target = Path(settings.output).expanduser().absolute()
    elif not (settings.detector or settings.server) or (settings.run and run.root.is_dir()):
        return run.detected
    else:
        target = Path("detected").absolute()
    made = mapping(read_object(target / JSON).get("info")).get("description") == DESCRIPTION
    refuse_foreign(target, lambda path: made, remedy=f"a folder of its own: {flag('output')}")
    return target


def _files(text: str, target: Path) -> tuple[list[ImageFile], list[Skipped]]:
    given = [word for word in (line.strip() for line in text.split("\n")) if word]
    if not given:
        raise SettingsError(
            "no images are given", remedy=f"detbox detect IMAGES: files, folders or globs ({flag('input')})"
        )
    for word in given:
        if image_paths.URL.match(word) and not Path(word).exists():
            what = "a URL: detect reads files and fetches nothing"
            raise SettingsError(what, where=word, remedy=f"download it first, then name the file: {flag('input')}")
    files, skipped = image_paths.find_images(given, leave_out=target)
    inside = next((file.path for file in files if file.path.is_relative_to(target)), None)
    if inside:
        raise SettingsError("lies in the folder that the results replace", where=str(inside), remedy=flag("output"))
    if not files:
        raise _nothing(skipped or [Skipped(word, "no images in this folder") for word in given])
    return files, skipped


def _nothing(skipped: Sequence[Skipped]) -> DatasetError:
    first = skipped[0]
    more = f"; {len(skipped)} such in all" if len(skipped) > 1 else ""
    return DatasetError(
        f"no image to detect on: {first.reason}{more}",
        where=first.file,
        remedy=host_paths.hint(first.file, "detect ") or f"other images: {flag('input')}",
    )


def _write(
    folder: Path,
    result: Detected,
    looked: Sequence[results.ImageDetections],
    videos: Sequence["VideoDetections"],
    resolved: ResolvedDetector,
) -> None:
    info = {
        "description": DESCRIPTION,
        "date_created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "detector": resolved.description,
        "thresholds": result.thresholds,
    }
    value = results.coco(looked, resolved.names, info)
    value["videos"] = [
        {
            "file_name": video.file_name, "width": video.width, "height": video.height, "frames": video.frames,
            "rate": video.rate, "drawn": video.drawn, "boxes": video.table,
        }
        for video in videos
    ]  # fmt: skip
    value["skipped"] = [{"file": skip.file, "reason": skip.reason} for skip in result.skipped]
    write_json(folder / JSON, value)
    write_text(folder / CSV, results.table(looked, resolved.names))
