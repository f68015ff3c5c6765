"""Images as records hold them."""

import io

import numpy as np
import pytest
from PIL import Image
from refusals import refused

from app import raster_image
from app.dataset import faults, image_file
from app.errors import DatasetError


def opened(stored):
    return Image.open(io.BytesIO(stored.data))


def test_plain_jpeg_and_png_keep_their_bytes(tmp_path, image):
    """Nothing is lost to a second compression where none is needed."""
    for name, kind in (("a.jpg", "jpeg"), ("a.png", "png")):
        path = image(tmp_path / name)
        stored = image_file.store_image(path, name)
        assert (stored.data, stored.format) == (path.read_bytes(), kind)
        assert (stored.width, stored.height) == (64, 48)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("grey.jpg", {"mode": "L"}),
        ("cmyk.jpg", {"mode": "CMYK"}),
        ("progressive.jpg", {"progressive": True}),
        ("palette.png", {"mode": "P"}),
        ("alpha.png", {"mode": "RGBA"}),
        ("grey.png", {"mode": "L"}),
        ("bits.png", {"mode": "1"}),
        ("a.gif", {"mode": "P"}),
        ("a.bmp", {}),
        ("a.tif", {}),
        ("a.webp", {}),
    ],
)
def test_everything_else_becomes_baseline_rgb_jpeg(tmp_path, image, name, options):
    """Whatever the file holds, the record holds an RGB JPEG of the same size that looks the same."""
    path = image(tmp_path / name, **options)
    stored = image_file.store_image(path, name)
    result = opened(stored)
    assert (result.format, result.mode, result.size) == ("JPEG", "RGB", (64, 48))
    assert not result.info.get("progressive")
    wanted = np.asarray(Image.open(path).convert("RGB").reduce(8), float)
    assert np.abs(np.asarray(result.reduce(8), float) - wanted).max() < 8


def test_sixteen_bits_are_scaled(tmp_path):
    """A 16-bit grey image is not clipped to white."""
    ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    shown = np.asarray(opened(image_file.store_image(tmp_path / "deep.png", "deep.png")).convert("L"))
    assert shown[0, 0] < 5 and shown[-1, -1] > 250 and 110 < shown[24, 0] < 145


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_rotation_is_applied(tmp_path, image, orientation):
    """The stored image is the way up that viewers show it, without the EXIF entry."""
    path = image(tmp_path / "a.jpg", orientation=orientation, quality=95)
    stored = image_file.store_image(path, "a.jpg")
    assert (stored.width, stored.height) == ((48, 64) if orientation > 4 else (64, 48))
    assert (stored.raw, stored.orientation) == ((64, 48), orientation)
    turned = np.rot90(np.asarray(Image.open(path), float), {3: 2, 6: 3, 8: 1}[orientation])
    assert np.abs(np.asarray(opened(stored), float) - turned).mean() < 6
    assert opened(stored).getexif().get(0x0112, 1) == 1


def test_max_side(tmp_path, image):
    """The longer side shrinks to the limit, in proportion; smaller images are left alone."""
    path = image(tmp_path / "a.jpg", size=(800, 300), quality=95)
    stored = image_file.store_image(path, "a.jpg", max_side=200)
    assert (stored.width, stored.height) == opened(stored).size == (200, 75)
    wanted = np.asarray(Image.open(path).convert("L").resize((200, 75), Image.Resampling.BOX), float)
    assert np.abs(np.asarray(opened(stored).convert("L"), float) - wanted).mean() < 4
    assert image_file.store_image(path, "a.jpg", max_side=800).data == path.read_bytes()


def test_max_side_of_a_rotated_image(tmp_path, image):
    """The limit is that of the image as shown."""
    stored = image_file.store_image(image(tmp_path / "a.jpg", size=(800, 300), orientation=6), "a.jpg", max_side=200)
    assert (stored.width, stored.height) == opened(stored).size == (75, 200)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "progressive.jpg"])
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.995])
def test_truncated_images_are_found(tmp_path, image, name, kept):
    """A file cut short anywhere is found, also where its bytes would be stored unchanged."""
    path = image(tmp_path / name, size=(320, 240), **({"progressive": True} if "prog" in name else {}))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(image_file.UnusableImage) as caught:
        image_file.store_image(path, name)
    assert (caught.value.fault.kind, caught.value.fault.file) == (faults.IMAGE_UNREADABLE, name)


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_other_bytes_are_found(tmp_path, data):
    """What is no image is a fault, not a crash."""
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(image_file.UnusableImage):
        image_file.store_image(tmp_path / "a.jpg", "a.jpg")
    with pytest.raises(image_file.UnusableImage) as caught:
        image_file.store_image(tmp_path / "none.jpg", "none.jpg")
    assert caught.value.fault.kind == faults.IMAGE_MISSING


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tiff", "webp", "gif"])
@pytest.mark.parametrize("pixels", [9999, 4000])
@pytest.mark.parametrize("look", [image_file.store_image, image_file.read_pixels, image_file.probe_image])
def test_images_of_too_many_pixels_are_refused(tmp_path, image, suffix, pixels, look):
    """From their header, with the flag; those that have as many are read."""
    path = image(tmp_path / f"a.{suffix}", size=(100, 100))
    with pytest.raises(image_file.UnusableImage) as caught:
        look(path, path.name, max_pixels=pixels)
    assert caught.value.fault.kind == faults.IMAGE_TOO_LARGE and "--max_image_pixels" in caught.value.fault.detail
    assert look(path, path.name, max_pixels=10_000) is not None


def test_an_icon_can_not_hide_a_larger_image(tmp_path, image):
    """The bound holds for what an icon's file has within, whatever size its header states."""
    icon = image(tmp_path / "a.ico", size=(16, 16), sizes=[(16, 16)])
    inner = image(tmp_path / "b.png", size=(400, 400)).read_bytes()
    header = icon.read_bytes()[:14] + len(inner).to_bytes(4, "little") + (22).to_bytes(4, "little")
    icon.write_bytes(header + inner)
    with pytest.raises(image_file.UnusableImage):
        image_file.read_pixels(icon, "a.ico", max_pixels=1000)


def test_the_bound_lets_photographs_through(tmp_path):
    """An image of 102 million pixels, as cameras make them, is read; one of 169 million is not, and names itself."""
    assert 11648 * 8736 < raster_image.MAX_PIXELS < 13000 * 13000
    path = tmp_path / "a.png"
    Image.new("1", (13000, 13000)).save(path)
    with refused(DatasetError, where="a.png", flag="--max_image_pixels", about="13000x13000"):
        raster_image.open_image(path)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_pixels_are_those_that_viewers_show(tmp_path, image, orientation):
    """All of them, as RGB, the EXIF rotation applied; a file cut short is unusable."""
    path = image(tmp_path / "a.jpg", mode="L", size=(80, 48), orientation=orientation)
    raw = np.asarray(Image.open(path).convert("RGB"))
    turned = np.rot90(raw, {1: 0, 3: 2, 6: 3, 8: 1}[orientation])
    assert np.array_equal(image_file.read_pixels(path, "a.jpg"), turned)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(image_file.UnusableImage):
        image_file.read_pixels(path, "a.jpg")


@pytest.mark.parametrize("options", [{}, {"mode": "L"}, {"orientation": 6}, {"size": (900, 600)}, {"mode": "CMYK"}])
def test_a_glance_shows_the_image_in_small(tmp_path, image, options):
    """The miniature is the image as viewers show it, in grey; size and orientation are the file's."""
    path = image(tmp_path / "a.jpg", **{"size": (320, 240), **options})
    seen = image_file.probe_image(path, "a.jpg")
    assert (seen.raw, seen.orientation) == (options.get("size", (320, 240)), options.get("orientation", 1))
    shown = (
        Image.fromarray(image_file.read_pixels(path, "a.jpg"))
        .convert("L")
        .resize(image_file.MINIATURE, Image.Resampling.BOX)
    )
    assert np.abs(np.asarray(shown, float) - seen.miniature).mean() < 6
    assert image_file.probe_image(path.read_bytes(), "a.jpg").digest == seen.digest
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(image_file.UnusableImage):
        image_file.probe_image(path, "a.jpg")


@pytest.mark.parametrize("name", ["a.eps", "a.jpg"])
def test_formats_that_would_start_a_program_are_no_images(tmp_path, name, monkeypatch):
    """Encapsulated PostScript is not handed to Ghostscript, whatever the file is called."""
    from PIL import EpsImagePlugin

    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *args, **more: started.append(args))
    Image.new("RGB", (20, 10)).save(tmp_path / "real.eps")
    (tmp_path / name).write_bytes((tmp_path / "real.eps").read_bytes())
    with pytest.raises(image_file.UnusableImage):
        image_file.store_image(tmp_path / name, name)
    assert started == []


def test_a_pointer_of_git_lfs_is_told(tmp_path):
    """A clone without LFS: what to do is in the line."""
    path = tmp_path / "a.jpg"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 34\n")
    with pytest.raises(image_file.UnusableImage) as caught:
        image_file.store_image(path, "a.jpg")
    assert "git lfs pull" in caught.value.fault.detail
