"""TFRecord files without TensorFlow, as they are or compressed with gzip or zlib."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from app import text_files
from app.dataset import compressed_file, example, image_file
from app.dataset.compressed_file import CompressedFile
from app.dataset.image_file import UnusableImage
from app.errors import DatasetError
from app.tfrecord import FOOTER, HEADER, LENGTH_MAX, frame, is_header, masked_crc

REMEDY = "make the records again: detbox prepare"


def append(file: "BinaryIO | HashedFile", data: bytes) -> None:
    """Writes one record at the end of `file`."""
    file.write(frame(data))


@dataclass(frozen=True)
class RecordFile:
    """A record file as it was written: its name, the number of records, its size, the SHA-256 of its bytes in hex."""

    name: str
    records: int
    bytes: int
    sha256: str


class HashedFile:
    """A file that is written, with the size and the SHA-256 of what was."""

    def __init__(self, file: BinaryIO):
        self._file, self._hash, self._bytes = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self._bytes += len(data)

    def written(self, name: str, records: int) -> RecordFile:
        """The file `name` as it is now, with so many records."""
        return RecordFile(name, records, self._bytes, self._hash.hexdigest())


def read_raw(path: Path) -> Iterator[bytes]:
    """The records of one file, each checked. Raises DatasetError, as `scan` does."""
    return (data for _, data in scan(path))


def read_at(path: Path, offset: int) -> bytes:
    """The record that begins at byte `offset` of a file's contents. Raises DatasetError, as `scan` does."""
    for _, data in scan(path, offset):
        return data
    raise _damaged(path, offset, "cut short")


def scan(
    path: Path, start: int = 0, on_damage: Callable[[int, str], None] | None = None
) -> Iterator[tuple[int, bytes]]:
    """The records of one file from byte `start` on, each with its offset and checked against its checksums.

    Offsets in a compressed file are those of its contents. With `on_damage` a record whose length is right and whose
    data is not is passed over, and it is called with the offset and what is wrong.
    Raises DatasetError that names the file and the byte offset where it is cut short or damaged.
    """
    try:
        with _open(path) as file:
            file.seek(start)
            while True:
                offset = file.tell()
                try:
                    data = _next(path, offset, file)
                except ValueError as error:
                    raise _damaged(path, offset, f"damaged ({error})") from None
                except _ChecksumError as error:
                    if on_damage is None:
                        raise _damaged(path, offset, str(error)) from None
                    on_damage(offset, f"record file is {error}")
                    continue
                if data is None:
                    return
                yield offset, data
    except OSError as error:
        raise DatasetError(f"can't be read: {error.strerror}", where=str(path), remedy=REMEDY) from None


def _open(path: Path) -> BinaryIO | CompressedFile:
    """The file's contents, which its first bytes say whether they are compressed: names are not to be trusted."""
    file = open(path, "rb")  # noqa: SIM115
    start = file.read(HEADER.size)
    kind = "" if is_header(start) else compressed_file.kind_of(start)
    if not kind:
        return file
    file.close()
    return CompressedFile(path, kind)


def is_damaged(path: Path) -> bool:
    """Whether a file that can't be read begins as record files do: a length with its checksum, or packed by gzip."""
    start = text_files.read_start(path, HEADER.size)
    return is_header(start) or compressed_file.kind_of(start) == "gzip"


def _next(path: Path, offset: int, file: BinaryIO | CompressedFile) -> bytes | None:
    """The record that begins here, None at the end. Raises DatasetError, ValueError, _ChecksumError."""
    header = file.read(HEADER.size)
    if not header:
        return None
    if len(header) < HEADER.size:
        raise _damaged(path, offset, "cut short")
    length, crc = HEADER.unpack(header)
    if crc != masked_crc(header[:8]) or length > LENGTH_MAX:
        raise _damaged(path, offset, "damaged, or no TFRecord file")
    data = file.read(length)
    footer = file.read(FOOTER.size)
    if len(data) < length or len(footer) < FOOTER.size:
        raise _damaged(path, offset, "cut short")
    if FOOTER.unpack(footer)[0] != masked_crc(data):
        raise _ChecksumError("damaged: the checksum differs")
    return data


class _ChecksumError(Exception):
    """A record's data is not what was written; the next record can be found."""


def read(paths: Iterable[Path]) -> Iterator[dict[str, list[Any]]]:
    """The Examples of record files in order, as `{key: list of bytes, float or int}`.

    Raises DatasetError for a file that is missing, cut short or damaged, or holds something else than
    Examples.
    """
    return (row for _, row in _numbered(paths))


def _numbered(paths: Iterable[Path]) -> Iterator[tuple[tuple[Path, int], dict[str, list[Any]]]]:
    """As `read`, each with its file and its number in that."""
    for path in paths:
        for number, data in enumerate(read_raw(path)):
            try:
                features = example.decode(data)
            except ValueError as error:
                raise _refusal((path, number), f"is {error}") from None
            yield (path, number), features


def _refusal(place: tuple[Path, int], what: str) -> DatasetError:
    return DatasetError(f"record {place[1]} {what}", where=str(place[0]), remedy=REMEDY)


@dataclass(frozen=True)
class Example:
    """An image of records with its groundtruth.

    `encoded`: JPEG or PNG. `boxes`: float32 [n, 4], normalized `ymin, xmin, ymax, xmax`. `class_ids`: int [n], from 1;
    `labels`: their names. `crowd`: bool [n].
    """

    name: str
    encoded: bytes
    boxes: np.ndarray
    class_ids: np.ndarray
    labels: tuple[str, ...]
    crowd: np.ndarray

    def pixels(self) -> np.ndarray:
        """uint8 [height, width, 3]. Raises DatasetError."""
        try:
            return image_file.stored_pixels(self.encoded, self.name)
        except UnusableImage as error:
            what = ": ".join(filter(None, (error.fault.kind, error.fault.detail)))
            raise DatasetError(what, where=f"the record of {self.name}", remedy=REMEDY) from None


def read_examples(folder: Path, pattern: str, names: Collection[str] | None = None) -> Iterator[Example]:
    """The images of `folder`'s records of that pattern in order; of `names` only, and no further than they go.

    Raises DatasetError, as `read` does, and for what `prepare` does not write.
    """
    left = None if names is None else set(names)
    for place, row in _numbered(sorted(folder.glob(pattern))):
        if left is not None and not left:
            return
        found = _example(row)
        if found is None:
            raise _refusal(place, "is no image with boxes as `prepare` writes them")
        if left is None or found.name in left:
            if left is not None:
                left.discard(found.name)
            yield found


_SIDES = tuple(f"image/object/bbox/{side}" for side in ("ymin", "xmin", "ymax", "xmax"))


def _example(row: Mapping[str, list[Any]]) -> Example | None:
    """The image of a record; None for features of other kinds, of lengths that differ, or boxes that are none."""
    name, encoded = (_typed(row, key, bytes) for key in ("image/source_id", "image/encoded"))
    class_ids, labels = _typed(row, "image/object/class/label", int), _typed(row, "image/object/class/text", bytes)
    sides = [_typed(row, side, float) for side in _SIDES]
    crowd = _typed(row, "image/object/is_crowd", int) or [0] * len(class_ids)
    if not name or not encoded or len({*map(len, sides), len(class_ids), len(labels), len(crowd)}) > 1:
        return None
    boxes = np.array(sides, np.float32).T
    low, high = boxes[:, :2], boxes[:, 2:]
    if not ((low >= 0) & (low < high) & (high <= 1)).all():  # As well what is no number.
        return None
    return Example(
        name=name[0].decode("utf-8", "replace"),
        encoded=encoded[0],
        boxes=boxes,
        class_ids=np.array(class_ids, int),
        labels=tuple(label.decode("utf-8", "replace") for label in labels),
        crowd=np.array(crowd, bool),
    )


def _typed(row: Mapping[str, list[Any]], key: str, kind: type) -> list[Any]:
    """The values of a feature; none where it is missing, or of another kind."""
    return [value for value in row.get(key, []) if isinstance(value, kind)]


def shard_name(split: str, index: int, count: int) -> str:
    """`train-00000-of-00004.tfrecord`."""
    return f"{split}-{index:05d}-of-{count:05d}.tfrecord"


def pattern(split: str, count: int) -> str:
    """The glob that matches the shards of a split and nothing else."""
    return f"{split}-?????-of-{count:05d}.tfrecord"


def _damaged(path: Path, offset: int, what: str) -> DatasetError:
    return DatasetError(f"record file is {what} at byte {offset}", where=str(path), remedy=REMEDY)
