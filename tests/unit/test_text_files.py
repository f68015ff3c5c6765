"""Text in whatever encoding."""

import pytest
from refusals import refused

from app import text_files
from app.dataset.formats import registry
from app.dataset.preparation import prepare
from app.errors import DatasetError

WORDS = "filename,class\ngrün weiß.jpg,Größe\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_encodings(encoding):
    """UTF-8, UTF-16 with and without a mark, and Windows' Western code page."""
    assert text_files.decode(WORDS.encode(encoding)) == WORDS


LISTS = {
    "cp1251": ["кошка", "Собака", "дом"], "cp1252": ["Größe", "façade", "cão"], "gb18030": ["安全帽", "反光衣", "人"],
    "big5": ["安全帽", "反光背心"], "shift_jis": ["ネコ", "犬", "自動車"], "euc_kr": ["고양이", "개", "사람"],
    "koi8_r": ["кошка", "собака"], "cp1253": ["γάτα", "σκύλος"],
}  # fmt: skip


@pytest.mark.parametrize("encoding", LISTS)
@pytest.mark.parametrize("form", ["{0}\r\n", "item {{ id: 1 name: '{0}' }}\n", "a.jpg,64,48,{0},1,2,30,40\n"])
def test_code_pages(encoding, form):
    """A few names are enough to tell the code pages of the world's most used scripts."""
    text = "".join(map(form.format, LISTS[encoding]))
    found = text_files.find_encoding(text.encode(encoding))
    assert (found.text, found.is_sure) == (text, True)


def test_what_can_not_be_told():
    """Two bytes may be a word in several code pages: then it is a guess, until a word known from elsewhere is in it."""
    data = "猫,人".encode("gbk")
    assert not text_files.find_encoding("人".encode("gbk")).is_sure
    assert text_files.find_encoding(data, known=["人"]) == text_files.Decoded("猫,人", "GBK")
    for encoding in ("cp1250", "cp1254", "euc_jp", "utf-8"):
        word = {"cp1250": "żółw", "cp1254": "ağaç", "euc_jp": "猫"}.get(encoding, "è")
        assert text_files.find_encoding(word.encode(encoding), known=[word]).text == word
    assert text_files.find_encoding("猫".encode("gbk"), known=["猫"]).text == "猫"  # It is an è of UTF-8 too.


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff\xfe\0", b"a\0b", bytes(range(256))])
def test_any_bytes(data):
    """Nothing fails."""
    assert isinstance(text_files.decode(data), str)


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_of_spreadsheets(tmp_path, image, encoding, delimiter):
    """CSV as spreadsheets save it: UTF-16 or Windows' code page, semicolons with decimal commas, or tabs."""
    for seed, name in enumerate(("grün a.jpg", "b.jpg")):
        image(tmp_path / "set" / name, seed=seed)
    point = "," if delimiter == ";" else "."
    rows = [["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]]
    rows += [[name, "64", "48", "große Katze", f"1{point}5", "2", "30", "40"] for name in ("grün a.jpg", "b.jpg")]
    (tmp_path / "set" / "labels.csv").write_bytes("\r\n".join(delimiter.join(row) for row in rows).encode(encoding))
    card = prepare(tmp_path / "set", tmp_path / "records")
    assert (card.format, card.classes, card.train.boxes, card.eval.boxes) == ("csv", ("große Katze",), 1, 1)
    assert card.faults == ()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_yolo_and_coco(tmp_path, image, coco, encoding):
    """Files that an editor or a shell on Windows has saved anew."""
    for name in ("yolo/a.jpg", "yolo/b.jpg", "coco/a.jpg", "coco/b.jpg"):
        image(tmp_path / name)
    (tmp_path / "yolo" / "classes.txt").write_bytes("große Katze\n".encode(encoding))
    for name in ("a", "b"):
        (tmp_path / "yolo" / f"{name}.txt").write_bytes("0 0.5 0.5 0.25 0.25\n".encode(encoding))
    sizes = dict.fromkeys(("a.jpg", "b.jpg"), (64, 48))
    boxes = [(1, 1, [1, 1, 9, 9]), (2, 1, [1, 1, 9, 9])]
    file = coco(tmp_path / "coco" / "all.json", sizes, boxes, [{"id": 1, "name": "große Katze"}])
    file.write_bytes(file.read_text().encode(encoding))
    for kind in ("yolo", "coco"):
        reader, _ = registry.resolve_reader(tmp_path / kind)
        assert kind == reader.NAME
        card = prepare(tmp_path / kind, tmp_path / f"{kind}-records")
        assert (card.classes, card.train.boxes + card.eval.boxes) == (("große Katze",), 2)


XML = """<annotation><filename>{0}.jpg</filename><size><width>64</width><height>48</height></size>
<object><name>{1}</name><bndbox><xmin>8</xmin><ymin>6</ymin><xmax>40</xmax><ymax>30</ymax></bndbox></object>
</annotation>"""


@pytest.mark.parametrize(("name", "known"), [("安全帽", True), ("人", False)])
def test_names_in_gbk(tmp_path, image, coco, name, known):
    """In CSV, COCO and XML without a word of its encoding: read where it can be told, else refused or left out."""
    kinds = ("csv", "coco", "voc")
    for kind in kinds:
        for seed, stem in enumerate("ab"):
            image(tmp_path / kind / f"{stem}.jpg", seed=seed)
            if kind == "voc":
                (tmp_path / kind / f"{stem}.xml").write_bytes(XML.format(stem, name).encode("gbk"))
    rows = ["filename,width,height,class,xmin,ymin,xmax,ymax", *(f"{stem}.jpg,64,48,{name},8,6,40,30" for stem in "ab")]
    (tmp_path / "csv" / "all.csv").write_bytes("\n".join(rows).encode("gbk"))
    sizes, boxes = dict.fromkeys(("a.jpg", "b.jpg"), (64, 48)), [(1, 1, [8, 6, 32, 24]), (2, 1, [8, 6, 32, 24])]
    file = coco(tmp_path / "coco" / "all.json", sizes, boxes, [{"id": 1, "name": "?"}])
    file.write_bytes(file.read_text().replace('"?"', f'"{name}"').encode("gbk"))
    for kind in kinds:
        if known:
            card = prepare(tmp_path / kind, tmp_path / f"{kind}-records")
            assert (card.format, card.classes, card.train.boxes + card.eval.boxes) == (kind, (name,), 2)
        else:
            with refused(DatasetError):
                prepare(tmp_path / kind, tmp_path / f"{kind}-records")


def test_lines_end_where_editors_end_them(tmp_path):
    """Not at the separators of Unicode, which names may have in them."""
    (tmp_path / "a.txt").write_bytes("a\u2028b.jpg\r\nc\u0085d\re\x0bf\n\n g \n".encode())
    assert text_files.lines(tmp_path / "a.txt") == ["a\u2028b.jpg", "c\u0085d", "e\x0bf", "g"]
