"""The frames of a video that CVAT annotated with tracks.

A shape with `outside="1"` is not there in its frame. CVAT writes a shape for every frame; where a track has only
keyframes, what lies between two of them is interpolated, as CVAT does itself.
"""

import re
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from app.dataset import faults
from app.dataset.annotation import AnnotatedImage, Box
from app.dataset.faults import FIXED, Fault
from app.dataset.formats.cvat_shapes import NO_SHAPES, Labels, box, size
from app.dataset.image_index import ImageIndex

_FRAME = re.compile(r"frame[_-]?(\d{1,9})", re.IGNORECASE)
_REMEDY = "a video's frames are to be images: ffmpeg -i VIDEO -start_number 0 images/frame_%06d.png"


def images(
    document: Element, tracks: Sequence[Element], labels: Labels, index: ImageIndex, file: Path, masked: bool
) -> Iterator[AnnotatedImage | Fault]:
    """The frames of the tracks, and those of the video in which nothing is."""
    where = index.name(file)
    if len({track.get("task_id") for track in tracks}) > 1:
        detail = "tracks of several tasks, which count their frames each from 0: export the tasks apart"
        yield Fault(faults.ANNOTATION_UNREADABLE, where, detail)
        return
    video = _Video(document)
    boxes: dict[int, list[Box]] = defaultdict(list)
    lost: dict[int, list[Fault]] = defaultdict(list)
    listed = {frame for track in tracks for frame, _ in _shapes(track)}
    files, moved = video.frames(index, file, listed)
    if moved:
        yield Fault(faults.FILENAME_WRONG, where, moved, FIXED)
    there = sorted(files)
    for track in tracks:
        earlier: tuple[int, Box] | None = None
        label = sys.intern(" ".join(track.get("label", "").split()))
        for frame, node in _shapes(track):
            found, wrong = box(node, label, labels, f"{where} frame {frame}", video.size, masked)
            outside = node.get("outside") == "1" or _all_outside(node)
            if earlier and found:
                between = there[bisect_left(there, earlier[0] + 1) : bisect_left(there, frame)]
                for number in between:
                    boxes[number].append(_between(earlier[1], found, (number - earlier[0]) / (frame - earlier[0])))
                    yield Fault(faults.BOX_INTERPOLATED, f"{where} frame {number}", label, FIXED)
            earlier = (frame, found) if found and not outside else None
            if outside:
                continue
            if found:
                boxes[frame].append(found)
                yield from wrong
            else:
                lost[frame] += wrong
    for number in sorted(set(boxes) | set(lost) | {n for n in there if video.has(n)}):
        paths = files.get(number, [])
        name = f"frame_{number:06}"
        if len(paths) > 1:
            yield Fault(faults.IMAGE_AMBIGUOUS, name, ", ".join(map(index.name, paths)))
        elif not paths:
            yield Fault(faults.IMAGE_MISSING, name, f"named in {where}; {_REMEDY}")
        else:
            found_boxes, found_lost = tuple(boxes.get(number, ())), tuple(lost.get(number, ()))
            yield AnnotatedImage(paths[0], index.name(paths[0]), found_boxes, *video.size, lost=found_lost)


def _shapes(track: Element) -> list[tuple[int, Element]]:
    """The shapes of a track by frame; one without a frame belongs to no image."""
    found = [(node.get("frame", "").strip(), node) for node in track if node.tag not in NO_SHAPES]
    numbered = [(int(frame), node) for frame, node in found if re.fullmatch(r"[0-9]{1,9}", frame)]
    return sorted(numbered, key=lambda pair: pair[0])


def _all_outside(node: Element) -> bool:
    joints = node.findall("points") if node.tag == "skeleton" else []
    return bool(joints) and all(joint.get("outside") == "1" for joint in joints)


def _between(first: Box, second: Box, part: float) -> Box:
    pairs = ((getattr(first, side), getattr(second, side)) for side in ("xmin", "ymin", "xmax", "ymax"))
    return Box(first.label, *(start + (end - start) * part for start, end in pairs))


class _Video:
    """What the XML says of the video: the size of its frames, and which of them were annotated."""

    def __init__(self, document: Element):
        def number(name: str, otherwise: int) -> int:
            said = (document.findtext(f"meta/*/{name}") or "").strip()
            return int(said) if re.fullmatch(r"[0-9]{1,9}", said) else otherwise

        self.start, self.count = number("start_frame", 0), number("size", 0)
        self.stop = number("stop_frame", -1)
        sides = (document.findtext(f"meta//original_size/{side}") for side in ("width", "height"))
        self.size = size(*sides)

    def has(self, frame: int) -> bool:
        """Whether a frame was there to be annotated: one without a box is an image without objects."""
        return self.start <= frame and (self.stop < 0 or frame <= self.stop)

    def frames(self, index: ImageIndex, file: Path, listed: set[int]) -> tuple[dict[int, list[Path]], str]:
        """The images of the frames, and what to say where those are counted otherwise than in the XML.

        ffmpeg counts from 1 where it is not told; a part of a video may be counted from its own start.
        """
        found = [(path, _FRAME.fullmatch(path.stem)) for paths in index.by_stem.values() for path in paths]
        frames = [(path, int(match[1])) for path, match in found if match]
        below = [pair for pair in frames if pair[0].is_relative_to(file.parent)]
        files: dict[int, list[Path]] = defaultdict(list)
        for path, frame in below or frames:
            files[frame].append(path)
        last = max(listed, default=0)
        if files and not self.start and min(files) == 1 and max(files) == max(self.count, last + 1):
            return {frame - 1: paths for frame, paths in files.items()}, "images of frames count from 1"
        if self.start and listed and listed.isdisjoint(files):
            moved = {frame + self.start: paths for frame, paths in files.items()}
            if listed <= set(moved):
                return moved, f"images of frames count from the start of the task, which is frame {self.start}"
        return files, ""
