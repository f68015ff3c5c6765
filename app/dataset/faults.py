"""Faults of data sets: each kind by name, counted, with examples."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from app.protos import label_map
from app.settings import flag

Action: TypeAlias = Literal["fixed", "dropped", "kept"]
FIXED: Action = "fixed"
DROPPED: Action = "dropped"
KEPT: Action = "kept"
EXAMPLES_MAX = 10

ANNOTATION_UNREADABLE = "annotation not readable"
ANNOTATION_MISSING = "image without annotation"
IMAGE_UNLABELLED = "image of which no annotation is usable"
IMAGE_LEFT_OUT = "image in neither split"
IMAGE_MISSING = "image missing"
IMAGE_AMBIGUOUS = "several images of that name"
IMAGE_UNREADABLE = "image not readable"
IMAGE_TOO_LARGE = "image too large"
IMAGE_TWICE = "image listed twice"
ANNOTATED_TWICE = "image annotated several times"
IMAGE_ID_TWICE = "image id given to several images"
IMAGE_IN_BOTH = "image in both splits"
IMAGE_COPIED = "same image in both splits under another name"
IMAGE_ROTATED = "image rotated by EXIF"
FILENAME_WRONG = "file name in the annotation is wrong"
SIZE_MISSING = "annotation without size"
SIZE_SCALED = "annotated size differs, boxes scaled"
SIZE_WRONG = "annotated size contradicts the image"
RECORD_DAMAGED = "record file damaged"
LABEL_CONTRADICTS = "class number contradicts the class's text"
LABEL_NAMELESS = label_map.NAMELESS
LABEL_ID_BELOW_1 = label_map.ID_BELOW_1
LABELS_SPELT = "class spelt in another way than in the label map"
MASK_UNREADABLE = "mask not readable"
KEYPOINTS_UNREADABLE = "keypoints not readable"
ONLY_IMAGE = "only image, trained and evaluated on"
LABEL_UNKNOWN = "class unknown"
LABEL_TWICE = label_map.NAME_TWICE
LABEL_ID_TWICE = label_map.ID_TWICE
LABEL_COUNT = "number of classes contradicts their names"
LABELS_ALIKE = "classes that differ only in case"
BOX_UNREADABLE = "box not readable"
BOX_IN_PIXELS = "boxes in pixels where fractions belong"
BOX_IN_FRACTIONS = "boxes in fractions where pixels belong"
BOX_ORPHAN = "box of an unknown image"
BOX_EMPTY = "box of zero size"
BOX_SWAPPED = "box with swapped corners"
BOX_CLIPPED = "box beyond the image's edge"
BOX_OUTSIDE = "box outside the image"
BOX_AROUND = "box around another shape"
BOX_INTERPOLATED = "box between keyframes"
REGION_IGNORED = "region of no class"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its kind (a name above), the file it is in, particulars, and what was done about it."""

    kind: str
    file: str
    detail: str = ""
    action: Action = DROPPED

    @property
    def example(self) -> str:
        return f"{self.file}: {self.detail}" if self.detail else self.file


def unlabelled(name: str, keep: bool = False) -> Fault:
    """The fault of an image that was annotated and has no usable box: left out, or with `keep` taken for background."""
    if keep:
        return Fault(IMAGE_UNLABELLED, name, "taken for one without objects", KEPT)
    return Fault(IMAGE_UNLABELLED, name, f"see {flag('keep_unreadable_as_negative')}")


@dataclass(frozen=True)
class FaultCount:
    """How often a kind of fault was met, what was done, and examples (`file: particulars`) of it."""

    kind: str
    action: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass
class IssueCounter:
    """Faults counted by kind and action, with up to `examples_max` examples of each, so that it stays small."""

    examples_max: int = EXAMPLES_MAX
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, fault: Fault) -> None:
        key = (fault.kind, fault.action)
        self.counts[key] = self.counts.get(key, 0) + 1
        examples = self.examples.setdefault(key, [])
        if len(examples) < self.examples_max:
            examples.append(fault.example)

    def extend(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self.add(fault)

    def merge(self, other: "IssueCounter") -> None:
        for key, count in other.counts.items():
            self.counts[key] = self.counts.get(key, 0) + count
            examples = self.examples.setdefault(key, [])
            examples.extend(other.examples[key][: self.examples_max - len(examples)])

    def rows(self) -> tuple[FaultCount, ...]:
        """The counts, the most frequent first."""
        ordered = sorted(self.counts, key=lambda key: (-self.counts[key], key))
        return tuple(FaultCount(*key, count=self.counts[key], examples=tuple(self.examples[key])) for key in ordered)
