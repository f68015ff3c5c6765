"""Reading Oxford-IIIT Pet's layout."""

import numpy as np
import pytest
from PIL import Image

from app.dataset import faults, records
from app.dataset.annotation import AnnotatedImage, Category
from app.dataset.faults import Fault
from app.dataset.formats import pet as reader
from app.dataset.formats import registry
from app.dataset.preparation import prepare

STEMS = ("Abyssinian_1", "Abyssinian_2", "great_pyrenees_3", "Abyssinian_4", "great_pyrenees_5")


@pytest.fixture
def pets(tmp_path, image, voc_xml):
    """Two breeds; as published, `test` and one image of `trainval` have no XML. A trimap beside each image."""
    notes = tmp_path / "pets" / "annotations"
    (notes / "trimaps").mkdir(parents=True)
    (notes / "xmls").mkdir()
    rows = {stem: f"{stem} {2 if stem[0] == 'A' else 1} 1 1" for stem in STEMS}
    for number, stem in enumerate(STEMS):
        image(tmp_path / "pets" / "images" / f"{stem}.jpg", seed=number)
        trimap = np.full((48, 64), 2, np.uint8)
        trimap[10:40, 5:60], trimap[11:39, 6:59] = 3, 1
        Image.fromarray(trimap).save(notes / "trimaps" / f"{stem}.png")
        if number < 3:
            species = "cat" if stem[0] == "A" else "dog"
            (notes / "xmls" / f"{stem}.xml").write_text(voc_xml([(species, 8, 12, 30, 28)], filename=f"{stem}.jpg"))
    (notes / "list.txt").write_text("#Image CLASS-ID SPECIES BREED ID\n" + "\n".join(rows.values()))
    (notes / "trainval.txt").write_text("\n".join(rows[stem] for stem in STEMS[:4]))
    (notes / "test.txt").write_text(rows[STEMS[4]])
    return tmp_path / "pets"


def test_the_class_is_the_breed(pets):
    """The name's beginning, not the XML's cat or dog; ids in the order of list.txt; heads are the boxes."""
    assert registry.resolve_reader(pets)[0] is reader
    assert reader.splits(pets) == ("trainval",)
    items = list(reader.read(pets, "trainval"))
    assert [item.name for item in items if isinstance(item, Category)] == ["great_pyrenees", "Abyssinian"]
    found = {item.name: item.boxes for item in items if isinstance(item, AnnotatedImage)}
    assert {name: box.label for name, (box,) in found.items()} == {
        "images/Abyssinian_1.jpg": "Abyssinian",
        "images/Abyssinian_2.jpg": "Abyssinian",
        "images/great_pyrenees_3.jpg": "great_pyrenees",
    }
    assert (found["images/Abyssinian_1.jpg"][0].xmin, found["images/Abyssinian_1.jpg"][0].ymax) == (8, 28)
    assert [(i.kind, i.file) for i in items if isinstance(i, Fault)] == [(faults.ANNOTATION_MISSING, "Abyssinian_4")]


def test_a_part_of_trainval_is_held_out(pets, tmp_path):
    """`test` has no boxes as published, so it is no split to evaluate on."""
    card = prepare(pets, tmp_path / "records")
    assert (card.format, card.train.images, card.eval.images) == ("pet", 2, 1)
    assert card.eval.source == "0.2 of trainval"


def test_voc_reads_cats_and_dogs_when_asked_to(pets, tmp_path):
    """--format=voc takes the XML at its word."""
    assert prepare(pets, tmp_path / "records", format="voc").classes == ("cat", "dog")


def test_masks_are_the_whole_animal(pets, tmp_path):
    """With masks the box is around the trimap's animal and its seam, as with upstream's --faces_only=False."""
    card = prepare(pets, tmp_path / "records", masked=True)
    assert card.masks
    row = next(records.read(sorted((tmp_path / "records").glob("eval-*"))))
    corners = [row[f"image/object/bbox/{key}"][0] for key in ("xmin", "ymin", "xmax", "ymax")]
    assert corners == pytest.approx([5 / 64, 10 / 48, 60 / 64, 40 / 48])
    assert len(row["image/object/mask"]) == 1


def test_a_broken_trimap_costs_the_mask_only(pets, tmp_path):
    """The head's box stays, and the file is named."""
    (pets / "annotations" / "trimaps" / "Abyssinian_1.png").write_bytes(b"none")
    card = prepare(pets, tmp_path / "records", masked=True)
    assert [(row.kind, row.count) for row in card.faults if row.kind == faults.MASK_UNREADABLE] == [
        (faults.MASK_UNREADABLE, 1)
    ]
    assert card.train.boxes + card.eval.boxes == 3
