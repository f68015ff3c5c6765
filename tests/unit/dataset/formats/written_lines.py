"""One data set written in each format of text lines, CSV and CVAT's XML, as `written_sets` does for others."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

from written_sets import WrittenImage, classes_of, write_images

OPEN_IMAGES = (
    "ImageID", "Source", "LabelName", "Confidence", "XMin", "XMax", "YMin", "YMax", "IsOccluded", "IsTruncated",
    "IsGroupOf",
)  # fmt: skip


def cvat(root: Path, images: Sequence[WrittenImage]) -> None:
    write_images(root / "images", images)
    labels = "".join(f"<label><name>{quoteattr(label)[1:-1]}</name></label>" for label in classes_of(images))
    rows = "".join(
        f"<image id='{number}' name={quoteattr(image.name)} width='{image.width}' height='{image.height}'>"
        + "".join(
            f"<box label={quoteattr(label)} xtl='{b[0]}' ytl='{b[1]}' xbr='{b[2]}' ybr='{b[3]}' occluded='0'></box>"
            for label, b in image.boxes
        )
        + "</image>"
        for number, image in enumerate(images)
    )
    meta = f"<version>1.1</version><meta><task><labels>{labels}</labels></task></meta>"
    (root / "annotations.xml").write_text(f"<annotations>{meta}{rows}</annotations>")


def kitti(root: Path, images: Sequence[WrittenImage]) -> None:
    write_images(root / "image_2", images)
    (root / "label_2").mkdir()
    for image in images:
        lines = [f"{label} 0.00 0 -1.57 {b[0]:.2f} {b[1]:.2f} {b[2]:.2f} {b[3]:.2f} 1 1 1 1 1 1 0\n"
                 for label, b in image.boxes]  # fmt: skip
        (root / "label_2" / f"{image.stem}.txt").write_text("".join(lines))


def open_images(root: Path, images: Sequence[WrittenImage]) -> None:
    write_images(root / "images", images)
    codes = {label: f"/m/0{number:03d}" for number, label in enumerate(classes_of(images))}
    with open(root / "class-descriptions-boxable.csv", "w", newline="") as file:
        csv.writer(file).writerows((code, label) for label, code in codes.items())
    with open(root / "set-annotations-bbox.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(
            [
                "ImageID",
                "Source",
                "LabelName",
                "Confidence",
                "XMin",
                "XMax",
                "YMin",
                "YMax",
                "IsOccluded",
                "IsTruncated",
                "IsGroupOf",
            ]
        )
        for image in images:
            for label, (x0, y0, x1, y1) in image.boxes:
                sides = (x0 / image.width, x1 / image.width, y0 / image.height, y1 / image.height)
                table.writerow([image.stem, "xclick", codes[label], 1, *sides, 0, 0, 0])


def oidv4(root: Path, images: Sequence[WrittenImage]) -> None:
    for label in classes_of(images):
        folder = root / "Dataset" / "train" / label
        write_images(folder, images)
        (folder / "Label").mkdir()
        for image in images:
            mine = [box for name, box in image.boxes if name == label]
            if mine or not image.boxes:
                lines = "".join(f"{label} {b[0]:.6f} {b[1]:.6f} {b[2]:.6f} {b[3]:.6f}\n" for b in mine)
                (folder / "Label" / f"{image.stem}.txt").write_text(lines)
            else:
                (folder / image.name).unlink()


def keras_yolo3(root: Path, images: Sequence[WrittenImage]) -> None:
    write_images(root, images)
    names = classes_of(images)
    (root / "_classes.txt").write_text("\n".join(names))
    with open(root / "_annotations.txt", "w") as file:
        for image in images:
            boxes = [f"{b[0]},{b[1]},{b[2]},{b[3]},{names.index(label)}" for label, b in image.boxes]
            file.write(" ".join([image.name, *boxes]) + "\n")


def keras_retinanet(root: Path, images: Sequence[WrittenImage]) -> None:
    write_images(root / "images", images)
    with open(root / "classes.csv", "w", newline="") as file:
        csv.writer(file).writerows((label, number) for number, label in enumerate(classes_of(images)))
    with open(root / "annotations.csv", "w", newline="") as file:
        for image in images:
            rows = [[f"images/{image.name}", *b, label] for label, b in image.boxes]
            csv.writer(file).writerows(rows or [[f"images/{image.name}", "", "", "", "", ""]])


LINE_WRITERS: dict[str, Callable[[Path, Sequence[WrittenImage]], None]] = {
    "cvat": cvat, "kitti_detection": kitti, "open_images": open_images, "oidv4": oidv4, "keras_yolo3": keras_yolo3,
    "keras_retinanet": keras_retinanet,
}  # fmt: skip
LABEL_FORMS: dict[str, Callable[[str], str]] = {
    "kitti_detection": lambda label: "C" + label.replace(" ", "_"),
    "oidv4": lambda label: f"C{label}",
}
"""What class names have to look like in a format: one word; not a digit first."""
