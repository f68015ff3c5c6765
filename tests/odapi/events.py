"""Reading TensorBoard's event files in tests."""

from collections import defaultdict
from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util import tensor_util


def steps(folder: Path) -> dict[str, list[int]]:
    """{tag: steps in order} over all event files of `folder`."""
    found = defaultdict(list)
    for event, value in _values(folder):
        found[value.tag].append(event.step)
    return dict(found)


def images(folder: Path, tag: str) -> list[int]:
    """The number of images in each summary of the image tag. Width and height come first in its tensor."""
    return [len(value.tensor.string_val) - 2 for _, value in _values(folder) if value.tag == tag]


def _values(folder: Path):
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                yield event, value


def scalars(folder: Path | str) -> dict[str, list[float]]:
    """{tag: values in the order of steps} of the scalar tags."""
    found = defaultdict(list)
    for event, value in _values(Path(folder)):
        if value.metadata.plugin_data.plugin_name in ("scalars", ""):
            found[value.tag].append((event.step, float(tensor_util.make_ndarray(value.tensor))))
    return {tag: [number for _, number in sorted(pairs)] for tag, pairs in found.items()}
