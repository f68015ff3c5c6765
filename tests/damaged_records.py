"""Damage done to record files, and how it is looked for."""

from pathlib import Path

from app.dataset import card as cards
from app.dataset import example, records
from app.dataset.image_file import read_pixels


def offsets(path: Path) -> list[int]:
    """Where each record of a whole file begins."""
    return [at for at, _ in records.scan(path)]


def flip(path: Path, at: int) -> None:
    """Flips a bit of the byte `at`, in place."""
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 4]))


def spoil_image(path: Path, number: int) -> None:
    """Spoils the image of one record of a file, whose checksums and size are right then."""
    rows = list(records.read_raw(path))
    image = example.decode(rows[number])["image/encoded"][0]
    rows[number] = rows[number].replace(image, b"\0" * len(image))
    with open(path, "wb") as file:
        for row in rows:
            records.append(file, row)


def decode(data: bytes) -> str:
    """What is wrong with the image in a record."""
    try:
        read_pixels(example.decode(data)["image/encoded"][0], "")
    except Exception as error:
        return str(error)
    return ""


def patterns(folder: Path, split: str = "train") -> list[str]:
    """The `input_path` of a split."""
    return [f"{folder}/{cards.read(folder).splits[split].records}"]
