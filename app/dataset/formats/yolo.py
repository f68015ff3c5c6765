"""Reader of YOLO: a text file of normalized boxes for each image, with `data.yaml` or a list of names."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from app import text_files
from app.dataset import faults
from app.dataset.annotation import AnnotatedImage, Box, Category, sort_annotations
from app.dataset.faults import KEPT, Fault
from app.dataset.formats import yolo_yaml
from app.dataset.formats.yolo_labels import LabelFiles
from app.dataset.formats.yolo_lines import BOX, Layout, LayoutEvidence, box_of, numbers_of
from app.dataset.formats.yolo_yaml import SPLIT_KEYS, DataYaml
from app.dataset.image_index import PathIndex, images_in, name_in, root_of, walk
from app.dataset.splits import own_splits, split_of_folder
from app.errors import DatasetError

NAME = "yolo"
NAME_LISTS = ("classes.txt", "obj.names", "_darknet.labels")
_LOOKED_AT = 50


def recognise(source: Path) -> str:
    """Why `source` (a folder or its data.yaml) is a YOLO set: what was found, or an empty string."""
    names = _names_file(source)
    if names is None:
        return ""
    labels = [path for path in walk(root_of(source), {".txt"}) if path.name not in NAME_LISTS]
    if not any(is_label(path) for path in labels[:_LOOKED_AT]):
        return ""
    return f"{names.name} and {len(labels)} text files"


def splits(source: Path) -> tuple[str, ...]:
    """The splits of data.yaml whose images are there, and folders named train, val, test ... that it passes over."""
    return tuple(_splits(source))


def hint(source: Path) -> str:
    """What is amiss where names of classes are there and no text file is one of YOLO's; else an empty string."""
    root, names = root_of(source), _names_file(source)
    texts = [path for path in walk(root, {".txt"}) if path.name not in NAME_LISTS] if names else []
    for path in texts[:_LOOKED_AT]:
        line = next(iter(text_files.lines(path)), "")
        if names and len(re.findall(r"\d+(?:\.\d+)?", line)) >= BOX - 1:
            return (
                f"{name_in(root, path)} line 1 is none of YOLO's, with {names.name}: a class's number from 0, "
                f"then x, y, width and height, with blanks between, not {line[:60]!r}"
            )
    return ""


def _refuse_contradictions(source: Path) -> None:
    """Lists of names in several folders must agree, but that one may go on where another ends, as labelImg's do."""
    if _data_yaml(source):
        return
    lists = {path: text_files.lines(path) for path in walk(root_of(source)) if path.name in NAME_LISTS}
    longest = max(lists.values(), key=len, default=[])
    other = next((path for path, names in lists.items() if names != longest[: len(names)]), None)
    if other:
        first = next(path for path, names in lists.items() if names == longest)
        root = root_of(source)
        raise DatasetError(
            f"{name_in(root, first)} and {name_in(root, other)} number the classes differently",
            where=str(source),
            remedy="prepare them apart, or make the text files agree and leave one list",
        )


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Category | Fault]:
    """The images of one split, or without a name all. One without a text file is one without objects, which is said."""
    root = root_of(source)
    _refuse_contradictions(source)
    names, found = _names(source)
    yield from found
    yield from (Category(name) for name in dict.fromkeys(names.values()))
    if split:
        yield from _missing(source, split)
    whole = images_in(root)
    images = _splits(source).get(split, []) if split else whole
    files = LabelFiles(root, whole, _may_be_label)
    texts = {path: files.find(path) for path in images}
    of_split = files.folders()
    layout = _layout(source, root, filter(None, map(files.find, whole)))
    for path, file in texts.items():
        name = name_in(root, path)
        if file is None:
            yield Fault(faults.ANNOTATION_MISSING, name, "taken for one without objects", KEPT)
            yield AnnotatedImage(path, name, (), fractions=True)
            continue
        where, lines = _name(root, file), enumerate(text_files.lines(file), start=1)
        boxes, lost, _ = sort_annotations(
            _box(line, names, f"{where} line {number}", layout, masked) for number, line in lines
        )
        yield AnnotatedImage(path, name, boxes, fractions=True, lost=lost)
    for file in files.without_image(of_split):
        if file.name not in NAME_LISTS and is_label(file):
            yield Fault(faults.IMAGE_MISSING, _name(root, file), f"no image {file.stem}.*")


def _layout(source: Path, root: Path, files: Iterable[Path]) -> Layout:
    """What the columns of the set's lines mean, in all its splits. Raises DatasetError where it could be either."""
    evidence = LayoutEvidence()
    for file in files:
        for number, line in enumerate(text_files.lines(file), start=1):
            if values := numbers_of(line):
                evidence.add(values, f"{_name(root, file)} line {number}")
    layout = evidence.layout(_kpt_shape(source))
    if layout.kind == "unclear":
        raise DatasetError(
            "its lines may be outlines, or boxes with keypoints in them",
            where=f"{source}: {evidence.example}",
            remedy="data.yaml tells: kpt_shape: [number of keypoints, 2 or 3] for keypoints; "
            "else convert the outlines to boxes",
        )
    return layout


def _kpt_shape(source: Path) -> tuple[int, int] | None:
    data_yaml = _data_yaml(source)
    texts = [text.strip() for text in data_yaml.texts("kpt_shape")] if data_yaml else []
    if not data_yaml or not texts:
        return None
    if len(texts) != 2 or not texts[0].isdecimal() or texts[1] not in ("2", "3"):
        said = ", ".join(texts)
        raise data_yaml.refusal(f"kpt_shape is {said}, not a number of keypoints and 2 or 3, as [17, 3]", "kpt_shape")
    return int(texts[0]), int(texts[1])


def _name(root: Path, file: Path) -> str:
    return name_in(root, file) if file.is_relative_to(root) else file.name


def _names_file(source: Path) -> Path | None:
    tables = [source] if source.is_file() else sorted(source.iterdir())
    found = next((path for path in tables if yolo_yaml.is_data_yaml(path)), None)
    if found or source.is_file():
        return found
    lists = [path for path in walk(source) if path.name in NAME_LISTS]
    return max(lists, key=lambda path: len(text_files.lines(path)), default=None)


def _data_yaml(source: Path) -> DataYaml | None:
    path = _names_file(source)
    return yolo_yaml.read(path) if path else None


def _names(source: Path) -> tuple[dict[int, str], list[Fault]]:
    """Class names by their number in the text files, from 0, and what is amiss with them."""
    if data_yaml := _data_yaml(source):
        names = data_yaml.names(lambda said: _below(PathIndex(), root_of(source), said))
        return names, list(data_yaml.remarks(names))
    path = _names_file(source)
    return yolo_yaml.name_list(path) if path else ({}, [])


def _splits(source: Path) -> dict[str, list[Path]]:
    """The images of each split, in order."""
    root = root_of(source)
    data_yaml = _data_yaml(source)
    found = {key: _listed(data_yaml, key, root) for key in SPLIT_KEYS} if data_yaml else {}
    found = {key: images for key, images in found.items() if images}
    folders: dict[str, list[Path]] = {}
    for path in images_in(root):
        folders.setdefault(split_of_folder(path.relative_to(root).parts[:-1]), []).append(path)
    if not found:
        return own_splits(folders) if len(folders) > 1 or "" not in folders else {}
    listed = {path for images in found.values() for path in images}
    rest = {key: images for key, images in folders.items() if key and listed.isdisjoint(images)}
    return found | {key: images for key, images in rest.items() if key not in found}


def _listed(data_yaml: DataYaml, split: str, root: Path) -> list[Path]:
    """The images of data.yaml's entry: folders, or text files of paths, below the data set's own folder.

    `path`, leading `../` and absolute paths are what the machine of the set's maker looked like, so they are tried and
    not believed.
    """
    images, paths = [], PathIndex()
    for entry in data_yaml.texts(split):
        place = _place(entry, data_yaml, root, paths)
        said, there = (split_of_folder(p.parts) for p in (PurePosixPath(entry), place.relative_to(root)))
        if place.is_dir() and place != root and (there or not said):
            images += images_in(place)
        elif place.is_file():
            found = (_below(paths, root, line, near=place.parent) for line in text_files.lines(place))
            images += [path for path in found if path.is_file()]
    return images


def _missing(source: Path, split: str) -> Iterator[Fault]:
    """The images that a split's text file names and that are not there."""
    root, data_yaml, paths = root_of(source), _data_yaml(source), PathIndex()
    places = [_place(entry, data_yaml, root, paths) for entry in data_yaml.texts(split)] if data_yaml else []
    for place in places:
        for line in text_files.lines(place) if place.is_file() else []:
            if not _below(paths, root, line, near=place.parent).is_file():
                yield Fault(faults.IMAGE_MISSING, line, f"named in {place.name}")


def _place(entry: str, data_yaml: DataYaml, root: Path, paths: PathIndex) -> Path:
    above = "".join(data_yaml.texts("path"))
    places = (_below(paths, root, f"{above}/{entry}"), _below(paths, root, entry))
    return next((path for path in places if path.exists()), root)


def _below(paths: PathIndex, root: Path, said: str, near: Path | None = None) -> Path:
    """The path under `root` that is `said`, with everything left out that would lead elsewhere.

    Where there is none, its longest end that is there below `near` or `root`: the rest is another machine's.
    """
    parts = [part for part in PurePosixPath(said.replace("\\", "/")).parts if part.strip("./") and "\0" not in part]
    for start in range(len(parts)):
        for folder in filter(None, (near, root)):
            if path := paths.find(folder, *parts[start:]):
                return path
    return root.joinpath(*parts)


def is_label(path: Path) -> bool:
    """Whether a text file's first lines are boxes or outlines."""
    lines = text_files.lines(path)[:3]
    return bool(lines) and all(numbers_of(line) for line in lines)


def _may_be_label(path: Path) -> bool:
    return path.name not in NAME_LISTS and (is_label(path) or path.stat().st_size == 0)


def _box(line: str, names: dict[int, str], where: str, layout: Layout, masked: bool) -> Box | Fault:
    values = numbers_of(line)
    if values is None:
        return Fault(faults.BOX_UNREADABLE, where, line[:60])
    label = names.get(int(values[0])) if values[0] < 1e9 else None
    if label is None:
        return Fault(faults.LABEL_UNKNOWN, where, f"class {values[0]:g}")
    try:
        return box_of(label, values, layout, masked)
    except ValueError as error:
        return Fault(faults.BOX_UNREADABLE, where, str(error))
