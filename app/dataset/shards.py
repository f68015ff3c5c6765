"""Writing one record file: images in, Examples out. Runs in a worker process."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.dataset import boxes, example, faults, image_file, masks, records
from app.dataset.annotation import AnnotatedImage, Box
from app.dataset.faults import FIXED, Fault, IssueCounter, unlabelled
from app.dataset.formats import labelme
from app.dataset.records import HashedFile, RecordFile
from app.raster_image import MAX_PIXELS


@dataclass(frozen=True)
class Shard:
    """A record file to be written.

    `ids` gives the id (from 1) of each class. `masked`: boxes have masks. `keypoints`: how many a box has, 0: none.
    `keep_unreadable`: see `collection.read`. `max_pixels`: of an image as it is in its file.
    """

    path: Path
    split: str
    images: tuple[AnnotatedImage, ...]
    ids: Mapping[str, int]
    max_side: int
    masked: bool = False
    keypoints: int = 0
    keep_unreadable: bool = False
    max_pixels: int = MAX_PIXELS


@dataclass
class Written:
    """What went into a record file. `digests` has the SHA-256 of each image's stored bytes and its name."""

    split: str
    file: RecordFile | None = None
    images: int = 0
    images_without_boxes: int = 0
    boxes: Counter[str] = field(default_factory=Counter)
    most_boxes: int = 0
    crowds: int = 0
    difficult: int = 0
    faults: IssueCounter = field(default_factory=IssueCounter)
    digests: list[tuple[bytes, str]] = field(default_factory=list)


def write(shard: Shard, done: Callable[[], None] = lambda: None) -> Written:
    """Writes the shard's file and says what is in it; calls `done` after each image."""
    result = Written(shard.split)
    with open(shard.path, "wb") as target:
        file = HashedFile(target)
        for image in shard.images:
            try:
                stored = image_file.store_image(source(image), image.name, shard.max_side, shard.max_pixels)
            except image_file.UnusableImage as unusable:
                result.faults.add(unusable.fault)
                done()
                continue
            if stored.orientation != 1:
                result.faults.add(Fault(faults.IMAGE_ROTATED, image.name, f"orientation {stored.orientation}", FIXED))
            kept, found = boxes.place_boxes(image, stored.raw, stored.orientation)
            result.faults.extend(found)
            if image.boxes and not kept:
                result.faults.add(unlabelled(image.name, shard.keep_unreadable))
                if not shard.keep_unreadable:
                    done()
                    continue
            digest = hashlib.sha256(stored.data)
            values = features(image.name, stored, digest.hexdigest(), kept, shard.ids)
            if shard.masked:
                values.update(mask_features(stored, kept))
            if shard.keypoints:
                values.update(keypoint_features(kept, shard.keypoints))
            records.append(file, example.encode(values))
            result.images += 1
            result.images_without_boxes += not kept
            result.boxes.update(box.label for box in kept)
            result.most_boxes = max(result.most_boxes, len(kept))
            crowds = [box.is_crowd or box.group_of for box in kept]
            result.crowds += sum(crowds)
            result.difficult += sum(box.difficult and not crowd for box, crowd in zip(kept, crowds, strict=True))
            result.digests.append((digest.digest(), image.name))
            done()
    result.file = file.written(shard.path.name, result.images)
    return result


def source(image: AnnotatedImage) -> Path | bytes:
    """Where the image's pixels are: its file, or the bytes in the record or JSON that holds it. Raises DatasetError."""
    if image.offset is None:
        return image.path
    if image.path.suffix.lower() == ".json":
        return labelme.read_embedded(image.path)
    return example.decode(records.read_at(image.path, image.offset))["image/encoded"][0]


def features(
    name: str, stored: image_file.StoredImage, sha256: str, kept: list[Box], ids: Mapping[str, int]
) -> dict[str, tuple[str, example.Values]]:
    """The features that upstream's TfExampleDecoder reads. Corners are fractions, areas stored pixels."""
    pixels = stored.width * stored.height
    return {
        "image/encoded": ("bytes_list", [stored.data]),
        "image/format": ("bytes_list", [stored.format]),
        "image/filename": ("bytes_list", [name]),
        "image/source_id": ("bytes_list", [name]),
        "image/key/sha256": ("bytes_list", [sha256]),
        "image/height": ("int64_list", [stored.height]),
        "image/width": ("int64_list", [stored.width]),
        "image/object/bbox/xmin": ("float_list", [box.xmin for box in kept]),
        "image/object/bbox/xmax": ("float_list", [box.xmax for box in kept]),
        "image/object/bbox/ymin": ("float_list", [box.ymin for box in kept]),
        "image/object/bbox/ymax": ("float_list", [box.ymax for box in kept]),
        "image/object/class/text": ("bytes_list", [box.label for box in kept]),
        "image/object/class/label": ("int64_list", [ids[box.label] for box in kept]),
        "image/object/is_crowd": ("int64_list", [int(box.is_crowd) for box in kept]),
        "image/object/area": ("float_list", [(box.area or 0.0) * pixels for box in kept]),
        "image/object/difficult": ("int64_list", [int(box.difficult) for box in kept]),
        "image/object/truncated": ("int64_list", [int(box.truncated) for box in kept]),
        "image/object/group_of": ("int64_list", [int(box.group_of) for box in kept]),
    }


def mask_features(stored: image_file.StoredImage, kept: list[Box]) -> dict[str, tuple[str, example.Values]]:
    """A PNG of 0 and 1 in the size of the stored image for each box; empty where the set has none for it."""
    return {"image/object/mask": ("bytes_list", [masks.draw(box.mask, stored.width, stored.height) for box in kept])}


def keypoint_features(kept: list[Box], count: int) -> dict[str, tuple[str, example.Values]]:
    """`count` keypoints a box, in fractions, those that are not annotated at 0, 0; as create_coco_tf_record has it."""
    padded = [(*box.keypoints, *[(0.0, 0.0, 0)] * count)[:count] for box in kept]
    points = [point for some in padded for point in some]
    return {
        "image/object/keypoint/x": ("float_list", [x for x, _, _ in points]),
        "image/object/keypoint/y": ("float_list", [y for _, y, _ in points]),
        "image/object/keypoint/visibility": ("int64_list", [seen for _, _, seen in points]),
        "image/object/keypoint/num": ("int64_list", [sum(seen > 0 for _, _, seen in some) for some in padded]),
    }
