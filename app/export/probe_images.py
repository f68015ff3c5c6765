"""The images that an export is made and compared with."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from app.dataset import card as cards
from app.dataset import image_file
from app.dataset.records import Example, read_examples
from app.errors import SettingsError
from app.run.directory import Run
from app.settings import flag

PROBES = 8
REPRESENTATIVE = 100
"""Images for int8's ranges: what TensorFlow Lite's guide to post-training quantization asks for (100 to 500)."""
EXAMPLES = 500
"""Held-out images at most for an mAP: a minute or two on a CPU."""
SHAPES = ((240, 320), (480, 360), (333, 500), (128, 128))


class ProbeImages:
    """Images given (`given`: files, folders or globs, one a line), those of `run`'s records, or drawn images.

    `run`: None where its records have nothing to do with the model.
    """

    def __init__(self, run: Run | None, given: str):
        """Raises SettingsError if none of what is given leads to an image."""
        self._run, self._card = run, cards.read(run.records) if run else None
        self._given = _given(given)

    @property
    def source(self) -> str:
        """What the probes are, for people."""
        if self._given:
            return "given images"
        return "held-out images" if self._has_records("eval") else "drawn images"

    @property
    def represent(self) -> bool:
        """Whether there are images of what the model is for."""
        return bool(self._given) or self._has_records("train")

    def probes(self) -> list[np.ndarray]:
        """The images to compare detections on, uint8 height x width x 3."""
        images = self._opened() or (example.pixels() for example in self.examples())
        return list(itertools.islice(images, PROBES)) or [_drawn(*size) for size in SHAPES]

    def representative(self) -> list[np.ndarray]:
        """Images of what the model is for; SettingsError if there are none."""
        if not self.represent:
            raise no_images()
        images = self._opened() or (example.pixels() for example in self._records("train"))
        return list(itertools.islice(images, REPRESENTATIVE))

    def examples(self) -> Iterator[Example]:
        """The held-out images of the records in order, `EXAMPLES` at most; none where there are no records."""
        return itertools.islice(self._records("eval"), EXAMPLES)

    def _opened(self) -> Iterator[np.ndarray] | None:
        return map(_open, self._given) if self._given else None

    def _has_records(self, split: str) -> bool:
        """Whether the split has record files; none is opened for it. A split without images has no file."""
        return bool(self._run and self._card and any(self._run.records.glob(self._card.splits[split].records)))

    def _records(self, split: str) -> Iterator[Example]:
        if self._run and self._card:
            yield from read_examples(self._run.records, self._card.splits[split].records)


def no_images() -> SettingsError:
    """The error where int8 has nothing to find its ranges with."""
    return SettingsError(
        "tflite_int8: needs images of what the model is for, and there are no records of the run here",
        remedy=f"name some hundred, without labels: {flag('input')}",
    )


def _given(given: str) -> list[Path]:
    from app.detection import image_paths

    if not given.strip():
        return []
    found, skipped = image_paths.find_images(given.split("\n"), leave_out=Path(".detbox-leaves-nothing-out"))
    if not found:
        why = skipped[0].reason if skipped else "there is no image"
        raise SettingsError(why, where=given.split("\n")[0], remedy=flag("input"))
    return [image.path for image in found]


def _open(path: Path) -> np.ndarray:
    try:
        return image_file.read_pixels(path, path.name)
    except image_file.UnusableImage as error:
        what = ": ".join(filter(None, (error.fault.kind, error.fault.detail)))
        raise SettingsError(what, where=str(path), remedy=flag("input")) from None


def _drawn(height: int, width: int) -> np.ndarray:
    """Rectangles and ellipses on noise: something with edges, where nothing real is at hand."""
    random = np.random.default_rng([height, width])
    image = Image.fromarray(random.integers(90, 130, (height, width, 3), np.uint8))
    pen = ImageDraw.Draw(image)
    for number in range(8):
        top, left = random.uniform(0, 0.7, 2) * (height, width)
        bottom, right = (top, left) + random.uniform(0.08, 0.3, 2) * (height, width)
        draw = pen.ellipse if number % 2 else pen.rectangle
        draw((left, top, right, bottom), fill=tuple(random.integers(0, 256, 3).tolist()))
    return np.asarray(image)
