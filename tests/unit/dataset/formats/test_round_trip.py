"""What is written in a format comes back from the records, or is accounted for by file and reason."""

import itertools
import shutil
import string
import tempfile
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from written_lines import LABEL_FORMS, LINE_WRITERS
from written_sets import WRITERS, WrittenImage
from written_tools import TOOL_WRITERS

from app.dataset import records
from app.dataset.preparation import prepare

LETTERS = string.ascii_letters + string.digits + "éüßñ中文字кат한" + "-_.()[]&+%#@!,;=' "
SEPARATORS = "\u00a0\u3000\u2028\u0085"
LABELS = st.text(LETTERS.replace("\u0085", ""), min_size=1, max_size=8).map(lambda text: " ".join(text.split())).filter(
    lambda text: text and text[0] not in "-.#"
)  # fmt: skip
STEMS = st.builds(
    lambda form, text: unicodedata.normalize(form, text),
    st.sampled_from(["NFC", "NFD"]),
    st.text(LETTERS + SEPARATORS, min_size=1, max_size=10),
).filter(lambda text: text.strip() == text and text.strip(".") and not text.startswith("."))


@st.composite
def images(draw, labels=LABELS):
    """Two to six images of unlike names with up to four boxes each, some of no size; one at least is sound."""
    some = draw(st.lists(labels, min_size=1, max_size=3, unique_by=str.casefold))
    stems = draw(
        st.lists(STEMS, min_size=2, max_size=6, unique_by=lambda t: unicodedata.normalize("NFKC", t).casefold())
    )
    found = []
    for stem in stems:
        width, height = draw(st.integers(8, 90)), draw(st.integers(8, 90))
        boxes = []
        for _ in range(draw(st.integers(0, 4))):
            x0, y0 = draw(st.integers(0, width - 2)), draw(st.integers(0, height - 2))
            x1, y1 = draw(st.integers(x0, width)), draw(st.integers(y0 + 1, height))
            boxes.append((draw(st.sampled_from(some)), (x0, y0, x1, y1)))
        found.append(WrittenImage(stem, width, height, tuple(boxes)))
    whole = WrittenImage(found[0].stem, found[0].width, found[0].height, ((some[0], (1, 1, 7, 7)),))
    also = WrittenImage(found[1].stem, found[1].width, found[1].height, ((some[0], (2, 1, 7, 6)), *found[1].boxes))
    return [whole, also, *found[2:]]


def read_back(folder, card):
    """Every image's boxes, label and corners in pixels, by the last part of its name."""
    found = {}
    for example in itertools.chain.from_iterable(
        records.read_examples(folder, split.records) for split in card.splits.values()
    ):
        height, width = example.pixels().shape[:2]
        boxes = [(label, (x0 * width, y0 * height, x1 * width, y1 * height))
                 for label, (y0, x0, y1, x1) in zip(example.labels, example.boxes.tolist(), strict=True)]  # fmt: skip
        found[example.name.rsplit("/", 1)[-1]] = boxes
    return found


def is_near(one, other):
    return one[0] == other[0] and all(abs(a - b) <= 0.5 for a, b in zip(one[1], other[1], strict=True))


def key(text):
    """A name in the one form that all formats can carry: some have blanks of one kind alone."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def check(images, folder, card):
    """Each box is in the records within half a pixel, or a fault names its file; no other box is there."""
    found = read_back(folder, card)
    named = [(fault.kind, example) for fault in card.faults for example in fault.examples]
    by_name = {key(name): boxes for name, boxes in found.items()}
    assert len(by_name) == len(found)
    for image in images:
        left = list(by_name.pop(key(image.name), []))
        for box in image.boxes:
            match = next((other for other in left if is_near(box, other)), None)
            if match is not None:
                left.remove(match)
                continue
            assert any(key(image.stem) in key(example) for _, example in named), (image, box, named)
        assert not left, (image, left)
    assert not by_name


ALL_WRITERS = WRITERS | TOOL_WRITERS | LINE_WRITERS


@pytest.mark.parametrize("format", sorted(ALL_WRITERS))
@settings(
    deadline=None, max_examples=25, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(written=images())
def test_boxes_come_back_or_are_accounted_for(format, written):
    """Whatever the names of files and classes, and with boxes that are none among them."""
    form = LABEL_FORMS.get(format, str)
    written = [replace(image, boxes=tuple((form(label), box) for label, box in image.boxes)) for image in written]
    root = Path(tempfile.mkdtemp())
    try:
        ALL_WRITERS[format](root / "set", written)
        card = prepare(root / "set", root / "records", workers=1)
        assert card.format == format
        check(written, root / "records", card)
    finally:
        shutil.rmtree(root)
